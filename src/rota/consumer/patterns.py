"""Which handler has which topic, where handlers may name patterns."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Generic, TypeVar

from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ByTopic"]

T = TypeVar("T")


class ByTopic(dict[str, T], Generic[T]):
    """By name, and by pattern (``^…``) for names that are not there yet; those are remembered when asked for.

    A pattern is for the client to match (librdkafka, or the broker with group.protocol=consumer); here it is only asked
    which of several it was, so a topic that none matches by Python's rules belongs to the only pattern there is.
    """

    def __init__(self, known: Mapping[str, T]) -> None:
        super().__init__(known)
        self._patterns = {name: each for name, each in known.items() if name.startswith("^")}

    def __missing__(self, topic: str) -> T:
        matching = [pattern for pattern in self._patterns if re.match(pattern, topic)]
        if not matching and len(self._patterns) == 1:
            matching = list(self._patterns)
        if len({id(self._patterns[pattern]) for pattern in matching}) > 1:
            raise RotaError(f"the topic {topic} matches {' and '.join(matching)}: which handler is it for?")
        if not matching:
            raise RotaError(f"no handler has the topic {topic}")
        found = self[topic] = self._patterns[matching[0]]
        return found
