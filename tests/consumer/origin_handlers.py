"""Handlers of every kind that write down where a record says that it was first, and fail outside of retry topics."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rota.consumer import Record, Records

JOURNAL = "ROTA_TEST_JOURNAL"


def plain(record: Record[bytes]) -> None:
    _note(record)


def decoded(record: Record[dict[str, int]]) -> None:
    _note(record)


async def awaited(record: Record[bytes]) -> None:
    _note(record)


async def awaited_decoded(record: Record[dict[str, int]]) -> None:
    _note(record)


def many(records: Records[bytes]) -> None:
    _note(records[0])


def many_decoded(records: Records[dict[str, int]]) -> None:
    _note(records[:1][0])


async def many_awaited(records: Records[bytes]) -> None:
    _note(records[:1][0])


def _note(record: Record[Any]) -> None:
    origin = record.origin
    retried = record.topic != "orders"
    with Path(os.environ[JOURNAL]).open("a", encoding="utf-8") as journal:
        journal.write(f"{'retry' if retried else 'first'} {origin} attempts {origin.attempts}\n")
    if not retried:
        raise OSError("not now")
