"""Names that both the groups and those who make room for them need."""

from __future__ import annotations

from typing import Final

__all__ = ["INTERNAL", "OFFSETS_TOPIC"]

OFFSETS_TOPIC: Final = "__consumer_offsets"
INTERNAL: Final = frozenset({OFFSETS_TOPIC, "__transaction_state"})
"""Topics that the broker keeps for itself."""
