"""What becomes of the outputs of a record that was handled twice: its partition went, and came back."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from tests.consumer.fakes import FakeMessage

from rota.consumer.clients.client import Offset
from rota.consumer.effects.outputs import Output, Outputs
from rota.model import TopicPartition

P0 = TopicPartition("orders", 0)


def handed_out() -> Any:
    """The record, as a client hands it out: each time another object."""
    return FakeMessage(P0, 7, b"k")


def by(whom: str) -> tuple[Output, ...]:
    return (Output("out", whom),)


def written(outputs: Outputs) -> list[object]:
    covered = outputs.covered({P0: Offset(8)}, lambda _: Offset(7))
    outputs.committed(covered)
    return [output.value for item in covered for output in item.outputs]


@pytest.mark.parametrize(
    "order",
    [
        order
        for order in permutations(["before", "now", "dropped"])
        if order.index("before") < order.index("dropped")
    ],
)
def test_those_of_the_partition_that_came_back_are_written(order: tuple[str, ...]) -> None:
    """Whenever the handler that had it before returns, and whenever the owner hears of that."""
    outputs, before, now = Outputs(), handed_out(), handed_out()
    outputs.forget([P0])
    for what in order:
        if what == "before":
            outputs.done(before, by("before"))
        elif what == "now":
            outputs.done(now, by("now"))
        else:
            outputs.drop(before)
    assert written(outputs) == ["now"]
    assert not outputs.waiting


@pytest.mark.parametrize("first", ["before", "now"])
def test_only_one_of_them_counts_until_the_owner_has_heard(first: str) -> None:
    outputs, before, now = Outputs(), handed_out(), handed_out()
    for what in (first, "now" if first == "before" else "before"):
        outputs.done(now if what == "now" else before, by(what))
    assert len(written(outputs)) == 1
    outputs.drop(before)
    assert written(outputs) == []
    assert not outputs.waiting


def test_what_an_attempt_before_produced_is_replaced() -> None:
    outputs, message = Outputs(), handed_out()
    outputs.done(message, by("first"))
    outputs.done(message, by("second"))
    assert written(outputs) == ["second"]


def test_an_attempt_that_produces_nothing_replaces_too() -> None:
    outputs, message = Outputs(), handed_out()
    outputs.done(message, by("first"))
    outputs.done(message, ())
    assert written(outputs) == []
