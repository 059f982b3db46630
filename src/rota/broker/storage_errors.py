"""A disk that fails, or is full, is a protocol answer: the client may try again once there is room."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rota.model import ErrorCode, KafkaError

__all__ = ["complain", "storing"]

log = logging.getLogger(__name__)

_SAID_AGAIN_AFTER_S: Final = 60.0
_said: dict[tuple[str, str], float] = {}


def complain(what: str, error: object) -> None:
    """Say that something cannot be done; clients try it again at once, so the same is not said again for a while."""
    now = time.monotonic()
    last = _said.get((what, str(error)))
    if last is None or now - last >= _SAID_AGAIN_AFTER_S:
        if len(_said) >= 1000:
            _said.clear()
        _said[what, str(error)] = now
        log.error("cannot %s: %s", what, error)


@contextmanager
def storing(what: str) -> Iterator[None]:
    """An ``OSError`` inside becomes one log line and ``KafkaError`` KAFKA_STORAGE_ERROR."""
    try:
        yield
    except OSError as error:
        complain(f"store {what}", error.strerror)
        raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"{what}: {error.strerror}") from error
