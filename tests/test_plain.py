"""Classes that are their fields: what they have in common with dataclasses, and no more."""

from __future__ import annotations

import copy
import pickle
from typing import ClassVar

import pytest

from rota.plain import Plain, field, replace


class Point(Plain):
    x: int
    y: int = 2
    unit: ClassVar[str] = "cm"

    @property
    def sum(self) -> int:
        return self.x + self.y


class Named(Point):
    name: str = ""
    tags: list[str] = field(default_factory=list)


class Counter(Plain, frozen=False):
    count: int = 0


def test_fields_are_given_in_order_or_by_name() -> None:
    assert Point(1) == Point(x=1, y=2) == Point(1, 2)
    assert repr(Named(1, name="a")) == "Named(x=1, y=2, name='a', tags=[])"
    assert Named.fields == ("x", "y", "name", "tags")
    assert Point.unit == "cm"
    assert Point(1).sum == 3


@pytest.mark.parametrize("words", [{}, {"x": 1, "z": 2}])
def test_what_is_missing_or_unknown_is_refused(words: dict[str, int]) -> None:
    for _ in range(2):  # the first instance, and those after it
        with pytest.raises(TypeError):
            Point(**words)


def test_a_default_that_is_made_is_shared_by_nobody() -> None:
    one, other = Named(1), Named(1)
    one.tags.append("x")
    assert other.tags == []


def test_equal_by_value_and_class() -> None:
    assert Point(1) != Point(2)
    assert Point(1) != Named(1)
    assert Point(1) != (1, 2)
    assert len({Point(1), Point(1), Point(2)}) == 2


def test_it_does_not_change_unless_it_may() -> None:
    point = Point(1)
    with pytest.raises(AttributeError, match=r"Point\.x cannot be changed"):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(AttributeError, match=r"Point\.x cannot be deleted"):
        del point.x
    counter = Counter()
    counter.count += 1
    assert counter == Counter(1)
    with pytest.raises(TypeError):
        hash(counter)
    with pytest.raises(AttributeError):
        counter.other = 1


def test_copies() -> None:
    named = Named(1, 2, "a", ["b"])
    assert replace(named, x=5) == Named(5, 2, "a", ["b"])
    with pytest.raises(TypeError):
        replace(named, z=1)
    assert pickle.loads(pickle.dumps(named)) == named
    assert copy.deepcopy(named) == named
    assert copy.copy(Counter(3)) == Counter(3)


def test_it_can_be_taken_apart() -> None:
    match Point(1, 5):
        case Point(x, y):
            assert (x, y) == (1, 5)
