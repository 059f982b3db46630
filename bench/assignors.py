"""How long an assignment takes: ours against the Java client's own, 2,000 members on 100 topics of 1,000 partitions.

"fresh" is the first assignment of a new group, "one leaves" the rebalance after one member of a settled group is
gone. Each turn is the first assignment in a new Java or Python process, as in a leader that has just started.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from bench.frame import Benchmark, Figure, Run
from tests.java.assignors import JavaAssignors

from rota.coordinator.assignors import ASSIGNORS, MemberSubscription
from rota.coordinator.assignors.plan import remember

Members = dict[str, MemberSubscription]

_MEMBERS, _TOPICS, _PARTITIONS = 2000, 100, 1000
_STRATEGIES = tuple(ASSIGNORS)
_CASES = [(strategy, "fresh") for strategy in _STRATEGIES] + [
    (strategy, "one leaves") for strategy in ("sticky", "cooperative-sticky")
]
FIGURES = {case: Figure(f"assign 100,000 partitions, {case[0]}, {case[1]}", "ms", 1.0) for case in _CASES}


def run(run: Run) -> None:
    for strategy, what in _CASES:
        members, topics = made(strategy, what)
        for kind in run.turns(1 if run.quick else 2):
            if kind == "rota":
                command = [sys.executable, "-m", "bench.assignors", strategy, what]
                said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                taken = float(said)
            else:
                with JavaAssignors() as java:
                    taken = statistics.median(java.time(strategy, members, topics, 1))
            run.add(FIGURES[strategy, what], kind, taken)


def made(strategy: str, what: str) -> tuple[Members, dict[str, int]]:
    """The members and topics of a case."""
    topics = {f"topic-{number:03}": _PARTITIONS for number in range(_TOPICS)}
    subscription = MemberSubscription(tuple(topics))
    members = {f"consumer-{number:05}-4b0e2f1c": subscription for number in range(_MEMBERS)}
    if what == "fresh":
        return members, topics
    held = ASSIGNORS[strategy](members, topics)
    settled = {name: remember(strategy, member, held[name], 1) for name, member in members.items()}
    settled.pop(min(settled))
    return settled, topics


def main() -> None:
    """Time one case in this process and print the milliseconds."""
    strategy, what = sys.argv[1:]
    members, topics = made(strategy, what)
    start = time.perf_counter()
    ASSIGNORS[strategy](members, topics)
    print((time.perf_counter() - start) * 1000)


BENCHMARK = Benchmark(
    "assignors", "the four strategies on 2,000 members and 100,000 partitions, beside Java's", run
)

if __name__ == "__main__":
    main()
