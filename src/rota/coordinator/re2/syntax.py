"""What a regular expression consists of."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

__all__ = ["Assertion", "Choice", "Node", "One", "Repeat", "Sequence"]


class One(NamedTuple):
    """One character that ``accepts`` accepts."""

    accepts: Callable[[str], bool]


class Assertion(NamedTuple):
    """No character; ``holds`` decides on the text and the place in it."""

    holds: Callable[[str, int], bool]


class Sequence(NamedTuple):
    """One after the other; nothing at all if there are none."""

    parts: tuple[Node, ...]


class Choice(NamedTuple):
    """One of them."""

    options: tuple[Node, ...]


class Repeat(NamedTuple):
    """``least`` to ``most`` times; None: any number of times."""

    part: Node
    least: int
    most: int | None


Node: TypeAlias = One | Assertion | Sequence | Choice | Repeat
