"""Printing: tables without a library, JSON, and words that agree with their numbers."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

from rota.model import count_of, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["count_of", "emit", "emit_csv", "emit_json", "note", "printable", "table"]

_OBEYED = re.compile("[\x7f-\x9f]")
"""Controls that a string of JSON may hold as they are."""


def emit(text: str = "") -> None:
    """One line of the answer, on standard output, as it is: names in it have been made ``printable``."""
    sys.stdout.write(text + "\n")


def emit_json(document: Any, *, indent: int | None = 2) -> None:
    """One JSON document; ``indent=None`` for JSON lines."""
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    sys.stdout.write(_OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")


def emit_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """CSV with a header."""
    import csv

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)


def note(*lines: str) -> None:
    """Lines about the answer, on standard error, so that they never mix with data."""
    sys.stdout.flush()
    sys.stderr.write("".join(f"{printable(line)}\n" for line in lines))
    sys.stderr.flush()


def table(
    header: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[str] = (), gap: int = 2
) -> list[str]:
    """Printable lines of a table: columns as wide as their longest cell; ``right`` names those of numbers."""
    cells = [list(header), *([printable(str(cell)) for cell in row] for row in rows)]
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
