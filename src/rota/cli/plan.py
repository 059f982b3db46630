"""``rota plan``: who would get which partition, worked out by the assignors alone."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import click

from rota.cli.options import MOST_PARTITIONS, json_option
from rota.cli.output import count_of, emit, emit_json, table
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rota.coordinator.assignors.plan import Plan
    from rota.model import TopicPartition

__all__ = ["plan"]

STRATEGIES = ("range", "roundrobin", "sticky", "cooperative-sticky", "uniform")
MOST_MEMBERS = 10_000
WIDEST_ASSIGNMENT = 100
"""An assignment with more characters than this takes one line for each consumer."""


@click.command()
@click.option("--members", "-m", required=True, metavar="N,…", help="Numbers of consumers, one row each.")
@click.option(
    "--partitions",
    "-p",
    type=click.IntRange(1, MOST_PARTITIONS),
    metavar="N",
    help="Partitions of one topic.",
)
@click.option(
    "--topic",
    "-t",
    "topics",
    multiple=True,
    metavar="NAME:N",
    help="A topic and its partitions; may be repeated.",
)
@click.option(
    "--strategy",
    "-s",
    type=click.Choice(STRATEGIES),
    default="range",
    show_default=True,
    help="The assignor; uniform is the broker's own for group.protocol=consumer.",
)
@json_option()
def plan(members: str, partitions: int | None, topics: Sequence[str], strategy: str, as_json: bool) -> None:
    """Show how a group of so many consumers shares its partitions, without any cluster.

    Each row goes on from the one before it, as a running group does: MOVED counts the partitions that change
    hands on the way, which for the sticky strategies and uniform is as few as can be.

    \b
    Examples:
      rota plan --members 1,2,3,5,6 --partitions 5
      rota plan --members 3,4 --partitions 12 --strategy cooperative-sticky
      rota plan --members 3,4 --partitions 12 --strategy uniform
      rota plan --members 2 --topic orders:3 --topic payments:3
    """
    counts = _counts(members)
    shape = _topics(partitions, topics)
    from rota.coordinator.assignors.plan import plan as make_plan

    width = len(str(max(counts)))
    names = [f"consumer-{number:0{width}}" for number in range(1, max(counts) + 1)]
    plans: list[Plan] = []
    for count in counts:
        plans.append(make_plan(strategy, names[:count], shape, plans[-1] if plans else None))
    if as_json:
        emit_json([_as_json(made) for made in plans])
        return
    what = ", ".join(f"{name} with {count_of(number, 'partition')}" for name, number in shape.items())
    emit(f"{strategy}: {what}")
    emit()
    for line in _table(plans, alone=len(shape) == 1):
        emit(line)
    for made in plans:
        if made.idle:
            emit()
            verb = "is" if len(made.idle) == 1 else "are"
            emit(
                f"Of {len(made.assignment)} consumers {', '.join(made.idle)} {verb} idle: "
                f"a group has no more active consumers than partitions ({sum(made.sizes)})."
            )


def _table(plans: Sequence[Plan], *, alone: bool) -> list[str]:
    """A row for each plan; ``alone``: there is one topic, which need not be named in each cell."""
    rows: list[tuple[object, ...]] = []
    for made in plans:
        cells = [f"{name}: {_held(held, alone=alone)}" for name, held in made.rows]
        wide = sum(map(len, cells)) > WIDEST_ASSIGNMENT
        first, *rest = cells if wide else ["  ".join(cells)]
        moved = _moved(made) if rows else "-"
        rows.append((len(made.assignment), spread(made.sizes), moved, first))
        rows += [("", "", "", cell) for cell in rest]
    header = ("CONSUMERS", "SPREAD", "MOVED", "ASSIGNMENT")
    return table(header, rows, right=["CONSUMERS", "MOVED"])


def spread(sizes: Sequence[int]) -> str:
    """``3 + 2``, ``1 each``, ``1 each, 1 idle``; long ones are gathered as ``4 × 3 + 2 × 2``."""
    busy = [size for size in sizes if size]
    idle = len(sizes) - len(busy)
    if len(busy) > 1 and len(set(busy)) == 1:
        text = f"{busy[0]} each"
    elif len(busy) <= 6:
        text = " + ".join(map(str, busy)) or "none"
    else:
        text = " + ".join(f"{len(list(group))} × {size}" for size, group in itertools.groupby(busy))
    return f"{text}, {idle} idle" if idle else text


def _counts(text: str) -> list[int]:
    counts: list[int] = []
    for word in text.split(","):
        if not word.strip().isdecimal() or not 1 <= int(word) <= MOST_MEMBERS:
            raise RotaError(
                f"--members wants numbers from 1 to {MOST_MEMBERS:,}, such as 1,2,3, not {text!r}",
                exit_code=2,
            )
        counts.append(int(word))
    return counts


def _topics(partitions: int | None, topics: Sequence[str]) -> dict[str, int]:
    """The topics to share: those named, or one without a name of its own."""
    if (partitions is None) == (not topics):
        raise RotaError("give either --partitions N or --topic NAME:N", exit_code=2)
    if partitions is not None:
        return {"topic": partitions}
    shape: dict[str, int] = {}
    for text in topics:
        name, _, number = text.rpartition(":")
        if not name or not number.isdecimal() or not 1 <= int(number) <= MOST_PARTITIONS:
            raise RotaError(f"--topic wants NAME:N, such as orders:3, not {text!r}", exit_code=2)
        if name in shape:
            raise RotaError(f"--topic {name} is given twice", exit_code=2)
        shape[name] = int(number)
    return shape


def _moved(made: Plan) -> int:
    return sum(move.source is not None for move in made.moves)


def _held(held: Sequence[TopicPartition], *, alone: bool) -> str:
    if not held:
        return "idle"
    by_topic: Mapping[str, list[int]] = {
        topic: [tp.partition for tp in group]
        for topic, group in itertools.groupby(held, key=lambda tp: tp.topic)
    }
    if alone:
        return _runs(next(iter(by_topic.values())))
    return ";".join(f"{topic}:{_runs(numbers)}" for topic, numbers in by_topic.items())


def _runs(numbers: Sequence[int]) -> str:
    """``0,1,4-9``: three or more in a row become a run."""
    parts: list[str] = []
    for _, group in itertools.groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        parts += [f"{run[0]}-{run[-1]}"] if len(run) > 2 else map(str, run)
    return ",".join(parts)


def _as_json(made: Plan) -> dict[str, Any]:
    return {
        "strategy": made.strategy,
        "consumers": len(made.assignment),
        "sizes": made.sizes,
        "rebalances": made.rounds,
        "moved": _moved(made),
        "idle": list(made.idle),
        "assignment": {
            name: [{"topic": tp.topic, "partition": tp.partition} for tp in held] for name, held in made.rows
        },
    }
