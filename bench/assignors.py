"""How long an assignment takes: ours against the Java client's, on this machine, turn by turn.

    python -m bench.assignors [--rounds 3] [--no-java]

Sizes are members x topics x partitions per topic, all members on all topics; "one leaves" is the rebalance
after one member of a settled group is gone; "mixed" gives every member a random half of the topics, which is
the general way of the sticky strategies.

Each round starts a new Java process and a new Python process per row, one after the other: "first" is the
first assignment in a process, as in a leader that has just started, "third" the third. Shown is the median
over the rounds, in ms.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tests.java.assignors import JavaAssignors

from rota.coordinator.assignors import ASSIGNORS, MemberSubscription
from rota.coordinator.assignors.plan import remember

if TYPE_CHECKING:
    from collections.abc import Iterator

Case = tuple[str, str, dict[str, MemberSubscription], dict[str, int]]

SIZES = {"2,000 x 100 x 1,000": (2000, 100, 1000), "1,000 x 10 x 1,000": (1000, 10, 1000)}
RUNS = 3


def cases() -> Iterator[Case]:
    for label, (count, topic_count, partitions) in SIZES.items():
        topics = {f"topic-{number:03}": partitions for number in range(topic_count)}
        fresh = MemberSubscription(tuple(topics))
        members = {f"consumer-{number:05}-4b0e2f1c": fresh for number in range(count)}
        for strategy in ASSIGNORS:
            yield f"{label} fresh", strategy, members, topics
        for strategy in ("sticky", "cooperative-sticky"):
            yield f"{label} one leaves", strategy, one_leaves(strategy, members, topics), topics
    rng = random.Random(7)  # the same groups every time
    topics = {f"topic-{number:03}": 50 for number in range(20)}
    members = {
        f"consumer-{n:05}-4b0e2f1c": MemberSubscription(rng.sample(list(topics), 10)) for n in range(200)
    }
    yield "200 x 20 x 50 mixed, fresh", "sticky", members, topics
    yield "200 x 20 x 50 mixed, one leaves", "sticky", one_leaves("sticky", members, topics), topics


def one_leaves(
    strategy: str, members: dict[str, MemberSubscription], topics: dict[str, int]
) -> dict[str, MemberSubscription]:
    held = ASSIGNORS[strategy](members, topics)
    settled = {name: remember(strategy, member, held[name], 1) for name, member in members.items()}
    settled.pop(min(settled))
    return settled


def time_ours(number: int) -> list[float]:
    """The runs of one case in this process."""
    _, strategy, members, topics = list(cases())[number]
    taken = []
    for _ in range(RUNS):
        start = time.perf_counter()
        ASSIGNORS[strategy](members, topics)
        taken.append((time.perf_counter() - start) * 1000)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the assignors against the Java client's.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-java", action="store_true")
    parser.add_argument("--case", type=int, help="time one case in this process and print its runs")
    options = parser.parse_args()
    if options.case is not None:
        print(*time_ours(options.case))
        return
    print(f"{'case':36}{'strategy':20}{'ours first':>12}{'third':>9}{'Java first':>12}{'third':>9}")
    for number, (label, strategy, members, topics) in enumerate(cases()):
        ours: list[list[float]] = []
        javas: list[list[float]] = []
        for _ in range(options.rounds):
            command = [sys.executable, "-m", "bench.assignors", "--case", str(number)]
            printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            ours.append([float(each) for each in printed.split()])
            if not options.no_java:
                with JavaAssignors() as java:
                    javas.append(java.time(strategy, members, topics, RUNS))
        print(f"{label:36}{strategy:20}{shown(ours, 12)}{shown(javas, 12)}", flush=True)


def shown(rounds: list[list[float]], width: int) -> str:
    if not rounds:
        return ""
    first, third = (statistics.median(runs[place] for runs in rounds) for place in (0, RUNS - 1))
    return f"{first:{width}.1f}{third:9.1f}"


if __name__ == "__main__":
    main()
