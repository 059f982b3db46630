"""`python -m bench` (`make bench`): Rota's broker beside real Apache Kafka 4.1, on this machine.

Rounds are interleaved (Rota, Kafka, Kafka, Rota), so that a busy moment hits both. Prints a table; progress goes to
stderr. A complete run writes every sample to bench/results.json, any run to the file named with --json.
"""

from __future__ import annotations

import importlib
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench import machine, report, running
from bench.frame import Benchmark, Run

if TYPE_CHECKING:
    import argparse

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
    options = running.options_of(
        "python -m bench",
        __doc__,
        "benchmarks",
        rounds="of four turns each (default 3; with --quick 1, of two)",
        quick="shorter turns and smaller logs: a first look",
    ).parse_args()
    benchmarks = {module: _load(module) for module in _MODULES}
    names = {each.name: each.about for each in benchmarks.values()}
    if options.list:
        running.show_list(names)
        return
    wanted = running.choose(options.only, sorted(names), "benchmark")
    chosen = {module: each for module, each in benchmarks.items() if each.name in wanted}
    if any(each.needs_kafka for each in chosen.values()):
        running.need_kafka()
    running.use_bytecode()
    began = time.monotonic()
    with ExitStack() as stack:
        run = Run(stack, rounds=running.rounds_of(options), quick=options.quick)
        things = {
            each.name: (each.about, partial(_run, run, module, each)) for module, each in chosen.items()
        }
        failed = running.run_each(things, run.say)
    _tell(run, time.monotonic() - began, _json_file(options))
    running.end(failed)


def _load(module: str) -> Benchmark:
    benchmark: Benchmark = importlib.import_module(f"bench.{module}").BENCHMARK
    return benchmark


def _run(run: Run, module: str, benchmark: Benchmark) -> None:
    if _MODULES.index(module) >= _MODULES.index(_ALONE_FROM):
        run.close_pair()
    try:
        benchmark.run(run)
    except Exception:
        run.close_pair()  # the next one gets brokers that nothing happened to
        raise


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
    running.write(
        file,
        machine=made_on,
        rounds=run.rounds,
        quick=run.quick,
        minutes=round(elapsed_s / 60, 1),
        **report.as_json(results, growths),
    )


if __name__ == "__main__":
    main()
