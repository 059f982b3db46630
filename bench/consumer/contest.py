"""What the contests share: the broker, the contestants' processes, their samples, and the figures made of them."""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.consumer.contestants.meter import Orders
from bench.consumer.environments import REQUIREMENTS, python_for
from bench.frame import Figure, Result
from tests.children import ending_with_parent

from rota.consumer.settings import effective_config

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["AIO_LANES", "LIBRDKAFKA", "ONCE", "OURS", "POOL", "QUIX", "Contest", "Contestant", "Entry"]

_MUST = {"bootstrap.servers": "-", "group.id": "-"}

OURS: dict[str, Any] = {
    name: value
    for name, value in effective_config(_MUST).items()
    if name not in _MUST and not name.startswith("enable.auto.")
}
"""What the runtime sets in its client, for bare loops to set too."""

LIBRDKAFKA: dict[str, Any] = {"auto.offset.reset": "earliest"}
"""A bare loop that sets nothing, but begins at the beginning."""

FOR_FRAMEWORKS = {
    name: value
    for name, value in OURS.items()
    if name not in {"auto.offset.reset", "partition.assignment.strategy"}
}
"""Frameworks have these two from their own options."""

_ROOT = Path(__file__).parents[2]
_LIMIT_S = 180.0

_numbers = itertools.count(1)


@dataclass(frozen=True, eq=False)
class Contestant:
    """One row of the long table. ``peer`` names its environment, ``program`` is below contestants/."""

    name: str
    peer: str
    program: str
    way: str
    guarantee: str
    client: dict[str, Any] = field(default_factory=dict)


ONCE = "at least once"
POOL = Contestant("hand-written pool, 64 lanes", "Rota", "pool", "", f"key order, {ONCE}", OURS)
AIO_LANES = Contestant(
    "aiokafka, hand-written key lanes", "aiokafka", "aiokafka_loops", "lanes", f"key order, {ONCE}"
)
QUIX = Contestant("quix-streams", "quix-streams", "quix", "", f"partition order, {ONCE}", FOR_FRAMEWORKS)


@dataclass(slots=True)
class Entry:
    """A contestant's samples by metric, in the order in which they were taken."""

    contestant: Contestant
    contest: str
    samples: dict[str, list[float]] = field(default_factory=dict)

    def add(self, metric: str, value: float) -> None:
        self.samples.setdefault(metric, []).append(value)

    def median(self, metric: str) -> float | None:
        taken = self.samples.get(metric)
        return statistics.median(taken) if taken else None


class Contest:
    """A run. ``bootstrap``: where the broker is that all share; ``bare``: only what needs no environment of its own."""

    def __init__(self, bootstrap: str, *, rounds: int, quick: bool, bare: bool = False) -> None:
        self.bootstrap = bootstrap
        self.rounds = rounds
        self.quick = quick
        self.bare = bare
        self.entries: dict[tuple[str, str], Entry] = {}
        self.results: list[Result] = []
        self.versions: dict[str, dict[str, str]] = {}

    def count(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    def say(self, text: str) -> None:
        """A line of progress."""
        print(text, file=sys.stderr, flush=True)

    def entry(self, contest: str, contestant: Contestant) -> Entry:
        return self.entries.setdefault((contest, contestant.name), Entry(contestant, contest))

    def turns(self, contestants: Sequence[Contestant], rounds: int | None = None) -> Iterator[Contestant]:
        """Everybody's turn, round by round, every second round backwards: what drifts hits all alike."""
        if self.bare:
            contestants = [each for each in contestants if each.peer not in REQUIREMENTS]
        for number in range(rounds or self.rounds):
            self.say(f"  round {number + 1} of {rounds or self.rounds}")
            yield from contestants if number % 2 == 0 else reversed(contestants)

    @contextmanager
    def process(self, contestant: Contestant, topic: str, **orders: Any) -> Iterator[subprocess.Popen[str]]:
        """The contestant at work; killed if it still is in the end."""
        with tempfile.TemporaryDirectory(prefix="rota-bench-") as scratch:
            group = orders.pop("group", "") or f"{topic}-{next(_numbers)}"
            client = {**contestant.client, **orders.pop("client", {})}
            told = Orders(
                self.bootstrap, topic, group, contestant.way, client=client, scratch=scratch, **orders
            )
            command = [
                python_for(contestant.peer),
                "-m",
                f"bench.consumer.contestants.{contestant.program}",
                json.dumps(asdict(told)),
            ]
            with (Path(scratch) / "errors").open("w+") as errors:
                process = subprocess.Popen(
                    ending_with_parent(command),
                    cwd=_ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                )
                try:
                    yield process
                except BaseException:
                    errors.seek(0)
                    self.say(f"{contestant.name} said: {errors.read()[-3000:]}")
                    raise
                finally:
                    process.kill()
                    process.wait()
                    if process.stdout is not None:
                        process.stdout.close()

    def measure(self, contest: str, contestant: Contestant, topic: str, **orders: Any) -> dict[str, Any]:
        """Let it handle ``count`` records, and note what it says."""
        with self.process(contestant, topic, **orders) as process:
            out, _ = process.communicate(timeout=_LIMIT_S)
            if not out.strip():
                raise RuntimeError(f"{contestant.name} ended with {process.returncode} and without a result")
        said: dict[str, Any] = json.loads(out.splitlines()[-1])
        self.versions.setdefault(contestant.peer, {}).update(said["versions"])
        entry = self.entry(contest, contestant)
        entry.add("per_s", said["records"] / said["seconds"])
        entry.add("cpu", said["cpu_s"] * 100_000 / said["records"])
        entry.add("rss", said["rss_mib"])
        entry.add("overlaps", said["overlaps"])
        entry.add("disorder", said["disorder"])
        self.say(
            f"    {contestant.name}: {said['records'] / said['seconds']:,.0f}/s, "
            f"{said['cpu_s'] * 100_000 / said['records']:.3f} s CPU/100k"
            + (
                f", {said['overlaps']} overlaps, {said['disorder']} out of order"
                if contest != "nothing"
                else ""
            )
        )
        return said

    def compare(
        self, figure: Figure, metric: str, contest: str, ours: Contestant, theirs: Contestant | None = None
    ) -> None:
        """A line of the table."""
        mine = self.entry(contest, ours).samples.get(metric, [])
        others = [] if theirs is None else self.entry(contest, theirs).samples.get(metric, [])
        if theirs is None or others:
            self.add(figure, mine, others)

    def add(self, figure: Figure, ours: Sequence[float], theirs: Sequence[float] = ()) -> None:
        """Likewise, of numbers."""
        result = Result(figure)
        result.samples["rota"] += ours
        result.samples["kafka"] += theirs
        self.results.append(result)
