"""Printing: tables without a library, JSON, and words that agree with their numbers."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from rota.model import count_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["count_of", "emit", "emit_csv", "emit_json", "note", "table"]


def emit(text: str = "") -> None:
    """One line of the answer, on standard output."""
    sys.stdout.write(text + "\n")


def emit_json(document: Any, *, indent: int | None = 2) -> None:
    """One JSON document; ``indent=None`` for JSON lines."""
    sys.stdout.write(json.dumps(document, indent=indent, ensure_ascii=False) + "\n")


def emit_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """CSV with a header."""
    import csv

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)


def note(text: str) -> None:
    """One line about the answer, on standard error, so that it never mixes with data."""
    sys.stdout.flush()
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def table(
    header: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[str] = (), gap: int = 2
) -> list[str]:
    """Lines of a table: columns as wide as their longest cell; ``right`` names those of numbers."""
    cells = [list(header), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    numeric = {i for i, name in enumerate(header) if name in set(right)}
    return [
        (" " * gap)
        .join(
            cell.rjust(width) if i in numeric else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        .rstrip()
        for row in cells
    ]
