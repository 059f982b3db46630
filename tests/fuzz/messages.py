"""Requests that are well-formed and wrong: fields of a decoded message are changed, and it is encoded again.

`Known` holds what answers and requests have named so far (members, producers, sessions, topic ids): with it a request
gets past the first check that it meets.
"""

from __future__ import annotations

import random
from collections import deque
from typing import Any

from tests.fuzz.batches import any_batch
from tests.fuzz.damage import EDGES, damaged

from rota.wire.schema import Field, Struct

__all__ = ["GROUPS", "TOPICS", "Known", "change"]

TOPICS = (
    "fuzz-one",
    "fuzz-many",
    "fuzz-compact",
    "fuzz-append-time",
    "__consumer_offsets",
    "__transaction_state",
)
GROUPS = tuple(f"fuzz-group-{number}" for number in range(6))
_BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
_UNSIGNED = {"uint16": 16, "uint32": 32}
_TOPIC_FIELDS = {"topic", "topic_name"}
_GROUP_FIELDS = {
    "group_id",
    "groups",
    "groups_names",
    "coordinator_keys",
    "transactional_id",
    "transactional_ids",
}
# How many partitions a topic gets: as many as anybody may have, but not as many as they please in an hour of fuzzing.
_COUNTS = {"num_partitions", "count"}
_COUNT_VALUES = (-(2**31), -1, 0, 1, 2, 7, 2**31 - 1)
_REMEMBERED = 24
_LARGEST = 200_000


class Known:
    """Values that have been seen under a field's name, the latest of them."""

    def __init__(self) -> None:
        self._values: dict[str, deque[Any]] = {}
        self.secret: Any = None  # never learned: the topic of the good client

    def learn(self, message: Struct) -> None:
        """Take what a message names."""
        for each in message.fields:
            value = getattr(message, each.name)
            if isinstance(value, Struct):
                self.learn(value)
            elif isinstance(value, list):
                for element in value[:8]:
                    if isinstance(element, Struct):
                        self.learn(element)
            elif value not in (None, 0, -1, "") and _is_name(value) and value != self.secret:
                self._values.setdefault(each.name, deque(maxlen=_REMEMBERED)).append(value)

    def one(self, name: str, source: random.Random) -> Any:
        """One of them, or None."""
        values = self._values.get(name)
        return source.choice(values) if values else None

    def producer(self, source: random.Random) -> tuple[int, int] | None:
        """A producer id and an epoch."""
        number = self.one("producer_id", source)
        return (
            None
            if number is None or source.random() < 0.4
            else (number, self.one("producer_epoch", source) or 0)
        )


def _is_name(value: Any) -> bool:
    return isinstance(value, str | int | bytes) and not isinstance(value, bool)


def change(message: Struct, version: int, source: random.Random, known: Known) -> None:
    """Change a few fields, wherever they are; names mostly become names that are there."""
    places = list(_places(message, version))
    for owner, each in places:
        _name(owner, each, source, known)
    for _ in range(source.choice((0, 1, 1, 2, 3))):
        if places:
            owner, each = source.choice(places)
            if each.name not in {item.name for item in type(owner).fields}:
                continue
            setattr(owner, each.name, _changed(each, getattr(owner, each.name), version, source, known))
    if source.random() < 0.05 and version in getattr(type(message), "flexible", ()):
        owner = source.choice(places)[0] if places else message
        owner.unknown_tags = {
            source.choice((0, 1, 5, 10_000, 2**31 - 1)): source.randbytes(source.choice((0, 3, 200)))
        }


def _places(message: Struct, version: int) -> Any:
    for each in message.fields:
        if version not in each.versions:
            continue
        yield message, each
        value = getattr(message, each.name)
        if isinstance(value, Struct):
            yield from _places(value, version)
        elif isinstance(value, list):
            for element in value[:6]:
                if isinstance(element, Struct):
                    yield from _places(element, version)


def _name(owner: Struct, each: Field, source: random.Random, known: Known) -> None:
    """Give a field the name of something that exists: topics, groups, members, producers, sessions."""
    value = getattr(owner, each.name)
    if each.kind == "records":
        if source.random() < 0.9:
            setattr(owner, each.name, any_batch(source, value, known.producer(source)))
    elif each.name in _TOPIC_FIELDS or (each.name == "name" and "Topic" in type(owner).__name__):
        if each.kind == "string" and source.random() < 0.9:
            setattr(owner, each.name, source.choice(TOPICS))
    elif each.name in _GROUP_FIELDS:
        if each.kind == "string" and source.random() < 0.9:
            setattr(owner, each.name, source.choice(GROUPS))
        elif isinstance(value, list) and value:
            setattr(
                owner, each.name, [source.choice(GROUPS) if isinstance(item, str) else item for item in value]
            )
    elif each.name.endswith(("_id", "_epoch", "generation_id")) and source.random() < 0.6:
        found = known.one(each.name, source)
        if found is not None and type(found) is type(value):
            setattr(owner, each.name, found)


def _changed(each: Field, value: Any, version: int, source: random.Random, known: Known) -> Any:
    if version in each.nullable and source.random() < 0.15:
        return None
    if each.name in _COUNTS:
        return source.choice(_COUNT_VALUES)
    match each.kind:
        case "string":
            return _text(value, source, wide=True)
        case "bytes":
            return damaged(value or b"", source)[:_LARGEST]
        case "records":
            return any_batch(source, value, known.producer(source))
        case "uuid":
            return source.choice(
                (bytes(16), source.randbytes(16), known.one("topic_id", source) or bytes(16))
            )
        case "bool":
            return not value
        case "array":
            return _array(each, value, source)
        case "struct":
            return value
    return _number(each.kind, source)


def _array(each: Field, value: Any, source: random.Random) -> Any:
    items = list(value or ())
    if isinstance(each.element, str):
        if each.element == "string":
            return [_text("", source, wide=False) for _ in range(source.choice((0, 1, 3)))] + items
        if each.element in _BITS:
            return items + [_number(each.element, source) for _ in range(source.choice((1, 2, 300)))]
        return items * source.choice((0, 2))
    if not items:
        return [each.element()] if each.element is not None else []
    choice = source.random()
    if choice < 0.2:
        return []
    return items * (2 if choice < 0.8 else 40 if choice < 0.99 else 2000)


def _text(value: str | None, source: random.Random, *, wide: bool) -> str:
    long = 40_000 if wide and source.random() < 0.1 else 300
    return source.choice(
        (
            "",
            "x" * long,
            "../escape",
            "\0",
            "ü€𝄞",
            ".",
            "a b",
            (value or "x") * 2,
            source.choice(TOPICS),
            source.choice(GROUPS),
            "(a*)*b[",
            str(source.choice(EDGES)),
        )
    )


def _number(kind: str, source: random.Random) -> int | float:
    if kind == "float64":
        return source.choice((0.0, -1.0, float("nan"), float("inf"), 1e308))
    if kind in _UNSIGNED:
        return source.choice(EDGES) % (1 << _UNSIGNED[kind])
    half = 1 << _BITS[kind] - 1
    return (source.choice(EDGES) + half) % (2 * half) - half
