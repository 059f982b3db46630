"""A disk that fails, or is full, is a protocol answer: the client may try again once there is room."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rota.model import ErrorCode, KafkaError

__all__ = ["storing"]

log = logging.getLogger(__name__)


@contextmanager
def storing(what: str) -> Iterator[None]:
    """An ``OSError`` inside becomes one log line and ``KafkaError`` KAFKA_STORAGE_ERROR."""
    try:
        yield
    except OSError as error:
        log.error("cannot store %s: %s", what, error.strerror)
        raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"{what}: {error.strerror}") from error
