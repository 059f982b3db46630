"""What people type to say which partitions and which moment they mean, in the spellings of Kafka's tool."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from rota.model import RotaError

__all__ = ["Scope", "duration_ms", "moment_ms", "scope_of"]

_DURATION = re.compile(
    r"P(?:(?P<d>\d{1,9})D)?(?:T(?=\d)(?:(?P<h>\d{1,9})H)?(?:(?P<m>\d{1,9})M)?(?:(?P<s>\d{1,9})(?:[.,](?P<f>\d{1,9}))?S)?)?",
    re.IGNORECASE,
)
_SHORT = re.compile(r"(\d{1,9})(s|m|h|d)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class Scope(NamedTuple):
    """One topic, and of it these partitions; None for all."""

    topic: str
    partitions: tuple[int, ...] | None = None


def scope_of(text: str) -> Scope:
    """``orders``, or ``orders:0,1,2``.

    Raises:
        RotaError: it is neither (wrong usage).
    """
    topic, colon, numbers = text.partition(":")
    if not topic:
        raise RotaError(f"--topic {text!r} names no topic: expected TOPIC or TOPIC:0,1,2", exit_code=2)
    if not colon:
        return Scope(topic)
    found = [number.strip() for number in numbers.split(",")]
    for number in found:
        if not number.isdecimal() or len(number) > 9:
            what = f"{number!r} is no partition" if number else "a partition is missing"
            raise RotaError(f"--topic {text!r}: {what}; expected TOPIC:0,1,2", exit_code=2)
    return Scope(topic, tuple(sorted({int(number) for number in found})))


def moment_ms(text: str) -> int:
    """``2026-11-21T14:02:00.000+01:00`` in milliseconds since 1970; seconds and their parts may be left out.

    Raises:
        RotaError: it is no such moment, or has no zone: guessing one can be hours wrong (wrong usage).
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise RotaError(
            f"--to-datetime {text!r} is no moment such as 2026-11-21T14:02:00.000Z", exit_code=2
        ) from None
    if moment.tzinfo is None:
        raise RotaError(
            f"--to-datetime {text!r} has no time zone: add Z for UTC, or an offset such as +01:00",
            exit_code=2,
        )
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def duration_ms(text: str) -> int:
    """``P1DT2H30M`` (ISO 8601, as Java reads it), or ``90s``, ``15m``, ``2h``, ``3d``, in milliseconds.

    Raises:
        RotaError: it is neither (wrong usage).
    """
    short = _SHORT.fullmatch(text.strip().lower())
    if short is not None:
        return int(short[1]) * _UNITS_MS[short[2]]
    found = _DURATION.fullmatch(text.strip())
    if found is None or not any(found.groupdict().values()):
        raise RotaError(
            f"--by-duration {text!r} is no duration such as PT15M, P1DT2H (ISO 8601), 15m or 2h", exit_code=2
        )
    whole = sum(int(found[unit] or 0) * _UNITS_MS[unit] for unit in "dhms")
    return whole + int((found["f"] or "0").ljust(3, "0")[:3])
