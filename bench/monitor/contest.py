"""What the contests of the monitor share: how often, on which brokers, and the samples."""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.frame import Figure, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Contest"]


@dataclass
class Contest:
    """``brokers``: rota, kafka or both; ``kminion`` the program, if there is one; ``idle_s``: how long to watch."""

    brokers: Sequence[str]
    rounds: int
    quick: bool
    kminion: Path | None = None
    results: list[Result] = field(default_factory=list)
    samples: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    @property
    def turns(self) -> int:
        """How often everything is taken, one after the other."""
        return 3 * self.rounds

    def count(self, whole: int, quick: int) -> int:
        """How many: fewer in a quick run."""
        return quick if self.quick else whole

    def say(self, text: str) -> None:
        """Progress."""
        print(text, file=sys.stderr, flush=True)

    def take(self, what: str, who: str, action: Callable[[], object]) -> float:
        """How long it took, in seconds; the first time is for warming up and is not kept."""
        taken = self.samples.setdefault(what, {})
        if who not in taken:
            taken[who] = []
            action()
        began = time.perf_counter()
        action()
        took = time.perf_counter() - began
        taken[who].append(took)
        self.say(f"  {who}: {took:.3f} s")
        return took

    def compare(self, figure: Figure, what: str, ours: str, theirs: str) -> None:
        """A figure of two that were taken in turns."""
        samples = self.samples[what]
        self.results.append(Result(figure, {"rota": samples[ours], "kafka": samples[theirs]}))

    def add(self, figure: Figure, ours: list[float], theirs: Sequence[float] = ()) -> None:
        """A figure with its samples."""
        self.results.append(Result(figure, {"rota": ours, "kafka": list(theirs)}))

    def table(self) -> list[str]:
        """Every contestant by itself: median, lowest, highest."""
        lines = []
        for what, taken in self.samples.items():
            lines.append(what)
            width = max(map(len, taken))
            for who, values in taken.items():
                spread = f"{min(values):.3f} – {max(values):.3f}"
                lines.append(f"  {who:{width}} {statistics.median(values):>9.3f} s  ({spread})")
        return lines
