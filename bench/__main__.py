"""`python -m bench` (`make bench`): Rota's broker beside real Apache Kafka 4.1, on this machine.

Rounds are interleaved (Rota, Kafka, Kafka, Rota), so that a busy moment hits both. Prints a table; progress goes to
stderr. A complete run writes every sample to bench/results.json, any run to the file named with --json.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
import traceback
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from bench import machine, report
from bench.frame import Benchmark, Run
from tests.kafka.jars import KafkaMissingError, jars

RESULTS = Path(__file__).with_name("results.json")

# In the order in which they run: first those that share one pair of brokers, then those that start their own.
_MODULES = (
    "raw_produce",
    "raw_fetch",
    "round_trip",
    "librdkafka",
    "java_tools",
    "commits",
    "heartbeats",
    "rebalance",
    "hostile",
    "cold_start",
    "restart",
    "memory",
    "assignors",
    "growth",
)
_ALONE_FROM = "cold_start"


def main() -> None:
    options = _options()
    benchmarks = {module: _load(module) for module in _MODULES}
    if options.list:
        for each in benchmarks.values():
            print(f"{each.name:14} {each.about}")
        return
    chosen = _chosen(benchmarks, options.only)
    if any(each.needs_kafka for each in chosen.values()):
        try:
            jars()
        except KafkaMissingError as missing:
            sys.exit(f"bench: {missing}")
    # An installed package has its bytecode; so has Rota here, whatever the shell says.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    rounds = max(1, options.rounds or (1 if options.quick else 3))
    began = time.monotonic()
    failed: list[str] = []
    with ExitStack() as stack:
        run = Run(stack, rounds=rounds, quick=options.quick)
        for module, each in chosen.items():
            if _MODULES.index(module) >= _MODULES.index(_ALONE_FROM):
                run.close_pair()
            run.say(f"{each.name}: {each.about}")
            try:
                each.run(run)
            except Exception:
                failed.append(each.name)
                run.say(f"{each.name} FAILED:\n{traceback.format_exc()}")
                run.close_pair()  # the next one gets brokers that nothing happened to
    _tell(run, time.monotonic() - began, _json_file(options))
    if failed:
        sys.exit(f"bench: {', '.join(failed)} failed, see above")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", metavar="NAME[,NAME]", help="these benchmarks")
    parser.add_argument("--rounds", type=int, help="of four turns each (default 3; with --quick 1, of two)")
    parser.add_argument("--quick", action="store_true", help="shorter turns and smaller logs: a first look")
    parser.add_argument("--list", action="store_true", help="name the benchmarks and end")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    return parser.parse_args()


def _load(module: str) -> Benchmark:
    benchmark: Benchmark = importlib.import_module(f"bench.{module}").BENCHMARK
    return benchmark


def _chosen(benchmarks: dict[str, Benchmark], only: str | None) -> dict[str, Benchmark]:
    if only is None:
        return benchmarks
    wanted = only.split(",")
    names = {each.name for each in benchmarks.values()}
    unknown = [name for name in wanted if name not in names]
    if unknown:
        sys.exit(f"bench: no benchmark is called {', '.join(unknown)}; there are {', '.join(sorted(names))}")
    return {module: each for module, each in benchmarks.items() if each.name in wanted}


def _json_file(options: argparse.Namespace) -> Path | None:
    if options.json is not None:
        file: Path = options.json
        return file
    return None if options.only or options.quick else RESULTS


def _tell(run: Run, elapsed_s: float, file: Path | None) -> None:
    made_on = machine.describe()
    results, growths = list(run.results.values()), list(run.growths.values())
    print(machine.sentence(made_on))
    rounds = f"{run.rounds} round{'' if run.rounds == 1 else 's'}"
    print(f"{rounds} of {2 if run.quick else 4} turns, {elapsed_s / 60:.1f} minutes")
    if run.quick:
        print("A quick run: groups and logs are smaller than the names say, turns and warm-up shorter.")
    print()
    if results:
        print("\n".join(report.table(results)))
    if growths:
        print()
        print("\n".join(report.growth_table(growths)))
    if file is not None:
        content = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": made_on,
            "rounds": run.rounds,
            "quick": run.quick,
            "minutes": round(elapsed_s / 60, 1),
            **report.as_json(results, growths),
        }
        file.write_text(json.dumps(content, indent=1) + "\n")
        print(f"\nEvery sample: {file}")


if __name__ == "__main__":
    main()
