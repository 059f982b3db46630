"""What a group last saw of the topics it subscribes to, to notice when they change and to say how."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rota.coordinator.outcome import TopicView

__all__ = ["SeenTopics", "change_in_words", "metadata_hash", "see_topics"]

SeenTopics = dict[str, tuple[bytes, int]]
"""Id and partition count by name, in the order of names."""


def see_topics(topics: TopicView, names: Iterable[str]) -> SeenTopics:
    """Those of the topics that exist."""
    seen: SeenTopics = {}
    for name in sorted(names):
        topic_id, partitions = topics.topic_id(name), topics.partitions(name)
        if topic_id is not None and partitions is not None:
            seen[name] = (topic_id, partitions)
    return seen


def metadata_hash(seen: SeenTopics) -> int:
    """A number of 64 bits that changes when the topics do (KIP-1101); 0 for no topics.

    Not the number that Apache Kafka computes from the same topics: a coordinator only compares its own with its own.
    """
    if not seen:
        return 0
    import hashlib

    text = b"".join(
        name.encode() + b"\0" + topic_id + partitions.to_bytes(4, "big")
        for name, (topic_id, partitions) in seen.items()
    )
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big", signed=True)


def change_in_words(before: Mapping[str, tuple[bytes, int]] | None, after: SeenTopics) -> str:
    """What is different, as far as it is known what was before."""
    if before is None:
        return ""
    words = [f"{name} deleted" for name in before if name not in after]
    for name, (topic_id, partitions) in after.items():
        old = before.get(name)
        if old is None:
            words.append(f"{name} created")
        elif old[0] != topic_id:
            words.append(f"{name} deleted and created again")
        elif old[1] != partitions:
            words.append(f"{name}: {old[1]} → {partitions} partitions")
    return ", ".join(words)
