"""The levels of this program's loggers, under Kafka's names for levels. ``root`` is the one above all of Rota's."""

from __future__ import annotations

import logging
from typing import Final

from rota.model import ErrorCode, KafkaError

__all__ = ["ROOT", "check", "levels", "set_level"]

ROOT: Final = "root"

_PACKAGE: Final = "rota"
_LEVELS: Final = {
    "TRACE": 5,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
}


def levels() -> dict[str, str]:
    """Every logger there is by now, and the level that decides what it says."""
    own = logging.getLogger(_PACKAGE)
    found = {ROOT: _level(own)}
    for name, logger in sorted(logging.root.manager.loggerDict.items()):
        if name.startswith(f"{_PACKAGE}.") and isinstance(logger, logging.Logger):
            found[name] = _level(logger)
    return found


def check(name: str, level: str | None) -> None:
    """Whether a logger's level can be set, or with None be left to the logger above. Raises ``KafkaError``."""
    if name not in levels():
        raise KafkaError(ErrorCode.INVALID_CONFIG, f"there is no logger {name}")
    if level is None:
        if name == ROOT:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "the root logger has no other above it")
    elif level not in _LEVELS:
        raise KafkaError(
            ErrorCode.INVALID_CONFIG, f"level {level} of logger {name}: allowed is {', '.join(_LEVELS)}"
        )


def set_level(name: str, level: str | None) -> None:
    """Set a level that was checked."""
    logger = logging.getLogger(_PACKAGE if name == ROOT else name)
    logger.setLevel(logging.NOTSET if level is None else _LEVELS[level])


def _level(logger: logging.Logger) -> str:
    number = logger.getEffectiveLevel()
    return max(
        (name for name in _LEVELS if _LEVELS[name] <= number), key=_LEVELS.__getitem__, default="TRACE"
    )
