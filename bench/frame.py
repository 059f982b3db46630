"""What all benchmarks share: figures with a target, samples turn by turn, and brokers to measure.

A round is Rota, Kafka, Kafka, Rota: what drifts while it lasts (a warming machine, a filling disk) hits both alike. In
a quick run it is the first two. A figure's value is the median of its samples; its ratio is that of the medians; its
spread is the lowest and the highest ratio of the pairs that lie next to each other.
"""

from __future__ import annotations

import math
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bench.servers import Server, new_server

__all__ = ["KINDS", "Benchmark", "Figure", "Growth", "Kind", "Result", "Run"]

Kind = Literal["rota", "kafka"]
KINDS: tuple[Kind, Kind] = ("rota", "kafka")

_TURNS: tuple[Kind, ...] = ("rota", "kafka", "kafka", "rota")
_QUICK_TURNS: tuple[Kind, ...] = ("rota", "kafka")
# A cost of n log n, fitted over a few steps of n, shows an exponent a little above 1, and measurements have noise.
_NOISE = 0.1


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. ``target`` is a ratio Rota : Kafka, reached from above if ``more_is_better``, else
    from below; None: the figure is only told, or, with ``least`` or ``most``, Rota's own value must keep to that."""

    name: str
    unit: str
    target: float | None
    more_is_better: bool = False
    least: float | None = None
    most: float | None = None


@dataclass(slots=True)
class Result:
    """The samples of a figure, in the order in which they were taken."""

    figure: Figure
    samples: dict[Kind, list[float]] = field(default_factory=lambda: {"rota": [], "kafka": []})

    def median(self, kind: Kind) -> float | None:
        taken = self.samples[kind]
        return statistics.median(taken) if taken else None

    @property
    def ratio(self) -> float | None:
        """Rota : Kafka, by their medians."""
        ours, theirs = self.median("rota"), self.median("kafka")
        return ours / theirs if ours is not None and theirs else None

    @property
    def spread(self) -> tuple[float, float] | None:
        """The lowest and the highest ratio of neighbouring samples."""
        ratios = [
            ours / theirs
            for ours, theirs in zip(self.samples["rota"], self.samples["kafka"], strict=False)
            if theirs
        ]
        return (min(ratios), max(ratios)) if ratios else None

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None if there is none, or nothing was measured."""
        if self.figure.least is not None:
            value = self.median("rota")
            return None if value is None else value >= self.figure.least
        if self.figure.most is not None:  # in every sample
            return max(self.samples["rota"]) <= self.figure.most if self.samples["rota"] else None
        target, ratio = self.figure.target, self.ratio
        if target is None or ratio is None:
            return None
        return ratio >= target if self.figure.more_is_better else ratio <= target


@dataclass(slots=True)
class Growth:
    """How a cost of Rota's grows with a size; the limit is n log n."""

    name: str
    unit: str
    of: str
    costs: dict[int, list[float]] = field(default_factory=dict)

    def add(self, size: int, cost: float) -> None:
        self.costs.setdefault(size, []).append(cost)

    def points(self) -> list[tuple[int, float]]:
        """Each size, with the median of its costs."""
        return [(size, statistics.median(self.costs[size])) for size in sorted(self.costs)]

    @property
    def exponent(self) -> float:
        """The slope of log cost over log size, over all sizes."""
        return _slope(self.points())

    @property
    def late_exponent(self) -> float:
        """The same over the upper half of the sizes, where what is constant hides less."""
        points = self.points()
        return _slope(points[-max(2, (len(points) + 1) // 2) :])

    @property
    def allowed(self) -> float:
        """What n log n would show over the upper half of the sizes."""
        points = self.points()[-max(2, (len(self.costs) + 1) // 2) :]
        return _slope([(size, size * math.log(max(size, 2))) for size, _ in points]) + _NOISE

    @property
    def met(self) -> bool:
        return self.late_exponent <= self.allowed


def _slope(points: list[tuple[int, float]]) -> float:
    xs = [math.log(size) for size, _ in points]
    ys = [math.log(max(cost, 1e-9)) for _, cost in points]
    return statistics.linear_regression(xs, ys).slope


class Run:
    """What a benchmark is given: how much to do, the brokers, and where results go."""

    def __init__(self, stack: ExitStack, *, rounds: int, quick: bool) -> None:
        self.rounds = rounds
        self.quick = quick
        self.results: dict[str, Result] = {}
        self.growths: dict[str, Growth] = {}
        self._stack = stack
        self._pair: dict[Kind, Server] = {}

    def choose(self, full: float, quick: float) -> float:
        """The first, or the second in a quick run: seconds, mostly."""
        return quick if self.quick else full

    def count(self, full: int, quick: int) -> int:
        """Likewise, a number of things."""
        return quick if self.quick else full

    def turns(self, rounds: int | None = None) -> Iterator[Kind]:
        """Whose turn it is, round by round."""
        for number in range(rounds or self.rounds):
            self.say(f"  round {number + 1} of {rounds or self.rounds}")
            yield from _QUICK_TURNS if self.quick else _TURNS

    def say(self, text: str) -> None:
        """A line of progress."""
        print(text, file=sys.stderr, flush=True)

    def add(self, figure: Figure, kind: Kind, value: float) -> None:
        """A sample."""
        self.results.setdefault(figure.name, Result(figure)).samples[kind].append(value)

    def grow(self, name: str, unit: str, of: str) -> Growth:
        """A new row of the growth table."""
        return self.growths.setdefault(name, Growth(name, unit, of))

    @property
    def pair(self) -> Mapping[Kind, Server]:
        """One broker of each kind, which the benchmarks of a run share: started by the first that asks."""
        if not self._pair:
            self.say("starting both brokers …")
            for kind in KINDS:
                self._pair[kind] = self._stack.enter_context(self.server(kind))
        return self._pair

    def close_pair(self) -> None:
        """Stop the shared brokers: what comes next wants the machine for itself."""
        self._pair = {}
        self._stack.close()

    @contextmanager
    def server(self, kind: Kind) -> Iterator[Server]:
        """A broker of one's own, in a directory that goes with it."""
        with tempfile.TemporaryDirectory(prefix="rota-bench-") as scratch:
            server = new_server(kind, Path(scratch))
            server.start()
            try:
                yield server
            finally:
                server.stop()


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One file of this directory. ``run`` takes its samples."""

    name: str
    about: str
    run: Callable[[Run], None]
    needs_kafka: bool = True
