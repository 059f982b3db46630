"""Names that both the coordinators and those who make room for them need."""

from __future__ import annotations

from typing import Final

__all__ = ["INTERNAL", "OFFSETS_TOPIC", "TRANSACTIONS_TOPIC"]

OFFSETS_TOPIC: Final = "__consumer_offsets"
TRANSACTIONS_TOPIC: Final = "__transaction_state"
INTERNAL: Final = frozenset({OFFSETS_TOPIC, TRANSACTIONS_TOPIC})
"""Topics that the broker keeps for itself."""
