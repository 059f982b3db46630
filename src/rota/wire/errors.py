"""The one error of this package: what a peer sent cannot be."""

from __future__ import annotations

__all__ = ["WireError"]


class WireError(Exception):
    """Bytes that are no message: cut short, too long, out of range, or null where null is not allowed."""
