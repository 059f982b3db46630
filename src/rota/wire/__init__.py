"""Kafka's wire protocol: messages, codec, frames and record batches. No I/O."""

from rota.wire.errors import WireError

__all__ = ["WireError"]
