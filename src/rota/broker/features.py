"""The features of this cluster (KIP-584): those of a new one of Apache Kafka 4.1, and what was changed since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from rota.storage import MetadataStore

__all__ = ["FEATURES", "Feature", "level", "set_level"]

_TABLE: Final = "features"
_LEVEL: Final = "level"


class Feature(NamedTuple):
    """The lowest and highest level, the one of a new cluster (0: none), and whether this broker can do with others."""

    lowest: int
    highest: int
    initial: int
    can_change: bool = False


FEATURES: Final[Mapping[str, Feature]] = {
    "group.version": Feature(0, 1, 1),
    "kraft.version": Feature(0, 1, 0),
    "metadata.version": Feature(7, 27, 27),
    "share.version": Feature(0, 1, 0),
    "transaction.version": Feature(0, 2, 2, can_change=True),
    "eligible.leader.replicas.version": Feature(0, 1, 1, can_change=True),
}


def level(metadata: MetadataStore, name: str) -> int:
    """The level of a feature that there is."""
    return int(metadata.stored(_TABLE, name).get(_LEVEL, FEATURES[name].initial))


def set_level(metadata: MetadataStore, name: str, new: int) -> None:
    """Change a feature's level. Raises ``OSError``."""
    metadata.put(_TABLE, name, {_LEVEL: new})
