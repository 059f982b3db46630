"""Java's orders: how the Java client compares strings and walks its hash maps.

An assignor written in Java breaks some ties by the order in which a ``HashMap`` hands out its entries, so
that two assignors agree only if both walk members and topics in that order. The order is no accident: an
entry sits in bucket ``spread(hashCode) % capacity``, the capacity is the smallest power of two of at least 16
that the entries fill to three quarters at most, and entries of one bucket keep the order in which they came.
(Buckets with nine entries or more, which Java turns into trees, are not modelled: names would have to be made
to collide.)

Pure functions; no errors.
"""

from __future__ import annotations

from operator import mul
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rota.model import TopicPartition

__all__ = ["bucket_order", "first_in_hash_set", "java_sorted", "partition_hash", "string_hash"]

_MASK = 0xFFFFFFFF
_powers = [1]


def string_hash(text: str) -> int:
    """``String.hashCode``, unsigned, 32 bits: the sum of ``unit[i] * 31**(n-1-i)`` over UTF-16 units."""
    if text.isascii():
        units: bytes | memoryview = text.encode("ascii")
    else:
        units = memoryview(text.encode("utf-16-le", "surrogatepass")).cast("H")
    count = len(units)
    while len(_powers) < count:
        _powers.append(_powers[-1] * 31 & _MASK)
    hashed: int = sum(map(mul, reversed(units), _powers))
    return hashed & _MASK


def partition_hash(partition: TopicPartition, topic_hash: int) -> int:
    """``TopicPartition.hashCode`` as an unsigned 32-bit number, given ``string_hash(partition.topic)``."""
    return (31 * (31 + partition.partition) + topic_hash) & _MASK


def _spread(hash_code: int) -> int:
    return hash_code ^ (hash_code >> 16)


def _capacity(count: int) -> int:
    capacity = 16
    while count * 4 > capacity * 3:
        capacity *= 2
    return capacity


def bucket_order(names: Iterable[str]) -> list[str]:
    """The names as a ``HashMap`` walks them that was filled in the given order."""
    distinct = list(dict.fromkeys(names))
    mask = _capacity(len(distinct)) - 1
    return sorted(distinct, key=lambda name: _spread(string_hash(name)) & mask)


def first_in_hash_set(partitions: Iterable[TopicPartition], topic_hash: int, peak: int) -> TopicPartition:
    """The partition of one topic that a ``HashSet`` hands out first; ``peak`` is the most it ever held.

    A ``HashSet`` never shrinks, hence the peak. ``partitions`` come in the order of insertion and are not
    empty.
    """
    mask = _capacity(peak) - 1
    return min(partitions, key=lambda partition: _spread(partition_hash(partition, topic_hash)) & mask)


def java_sorted(names: Iterable[str]) -> list[str]:
    """The names in the order of ``String.compareTo``: by UTF-16 unit, for plain ASCII as in Python."""
    listed = list(names)
    if all(map(str.isascii, listed)):
        return sorted(listed)
    return sorted(listed, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
