"""A handler that worker processes import, with everything that an annotation and options can ask for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from rota.consumer import Context, Record, Records

JOURNAL = "ROTA_TEST_JOURNAL"


@dataclass
class Order:
    id: int


def handle(record: Record[Order], context: Context) -> None:
    _note(f"{os.getpid()} {record.key!s} {record.value.id} {context.attempt}")


def handle_many(records: Records[Order]) -> None:
    for order in records.values:
        _note(f"{os.getpid()} - {order.id} 1")


def _note(line: str) -> None:
    with Path(os.environ[JOURNAL]).open("a", encoding="utf-8") as journal:
        journal.write(line + "\n")
