"""How long an append takes: batches of 125 B, 10 kB and 1 MB, on disk and in memory. ``python bench/storage.py``."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from rota.storage import Log, LogConfig
from rota.wire.records import build_batch

_CONFIG = LogConfig(max_message_bytes=2_000_000, segment_bytes=256 * 1024 * 1024)


def measure(directory: Path | None, value_bytes: int, times: int) -> tuple[float, float, int]:
    """Microseconds an append (CPU, elapsed) and the batch's size; the median of five rounds."""
    batch = memoryview(build_batch([(None, bytes(value_bytes), 1_000, ())]))
    cpu: list[float] = []
    elapsed: list[float] = []
    for number in range(5):
        where = None if directory is None else directory / str(number)
        if where is not None:
            where.mkdir()
        log = Log.open(where, _CONFIG, now_ms=1_000)
        started, used = time.perf_counter(), time.process_time()
        for _ in range(times):
            log.append(batch, 1_000)
        elapsed.append((time.perf_counter() - started) / times * 1e6)
        cpu.append((time.process_time() - used) / times * 1e6)
        log.delete()
    return statistics.median(cpu), statistics.median(elapsed), len(batch)


def main() -> None:
    """Print a table."""
    print(f"{'batch':>9} {'where':>7} {'us CPU':>9} {'us':>9} {'MB/s':>8}")
    for value_bytes, times in ((55, 20_000), (10_000, 4_000), (1_000_000, 60)):
        for where in ("memory", "disk"):
            with tempfile.TemporaryDirectory() as directory:
                cpu, elapsed, size = measure(Path(directory) if where == "disk" else None, value_bytes, times)
            print(f"{size:>9} {where:>7} {cpu:>9.2f} {elapsed:>9.2f} {size / elapsed:>8.0f}")


if __name__ == "__main__":
    main()
