"""`python -m tests.fuzz --minutes 60`: attack Rota's broker; see `tests/fuzz/fuzzer.py` for what it must withstand."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.findings import CASES
from tests.fuzz.fuzzer import ANSWER_BOUND_S, MEMORY_BOUND_MB, Fuzzer


def main() -> None:
    options = _options()
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{(time.monotonic() - began) / 60:6.1f} min  {text}", flush=True)

    with tempfile.TemporaryDirectory(prefix="rota-fuzz-") as directory:
        fuzzer = Fuzzer(Path(directory), options.cases, options.seed, say)
        fuzzer.run(inputs=options.inputs, seconds=None if options.inputs else options.minutes * 60)
    elapsed_s = time.monotonic() - began
    print(
        f"\nseed {options.seed}: {fuzzer.inputs} inputs in {elapsed_s / 60:.1f} minutes "
        f"({fuzzer.inputs / elapsed_s:.0f}/s), {fuzzer.answers.total()} answers of {len(fuzzer.answers)} kinds"
    )
    print("  " + ", ".join(f"{how}: {count}" for how, count in fuzzer.sent.most_common()))
    print(f"memory at its highest {fuzzer.peak_mb:.0f} MB (bound {MEMORY_BOUND_MB})")
    print(
        f"the good client: {fuzzer.good_answers} answers, the slowest after {fuzzer.slowest_s:.2f} s "
        f"(bound {ANSWER_BOUND_S:g} s); {fuzzer.restarts} restarts"
    )
    for where, count in fuzzer.slow.most_common(20):
        print(f"  slow {count} x in {where}")
    print(f"findings: {len(fuzzer.findings.counts)}")
    for kind, count in fuzzer.findings.counts.items():
        print(f"  {count} x {kind}")
    sys.exit(bool(fuzzer.findings.counts))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--inputs", type=int, help="so many instead of so long")
    parser.add_argument(
        "--seed", type=int, default=int(time.time()), help="the same seed makes much the same inputs"
    )
    parser.add_argument("--cases", type=Path, default=CASES, help="where findings are written")
    return parser.parse_args()


if __name__ == "__main__":
    main()
