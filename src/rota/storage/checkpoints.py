"""Kafka's checkpoint files: a line with the version (0), a line with the number of entries, a line for each entry.

They are replaced as a whole, so that a reader finds the old file or the new one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from rota.model import RotaError, TopicPartition
from rota.storage.files import replace_file

_NUMBER: Final = re.compile(r"-?[0-9]{1,19}")

__all__ = ["read_lines", "read_offsets", "write_lines", "write_offsets"]


def read_lines(path: Path, width: int) -> list[list[str]]:
    """The entries of a checkpoint, ``width`` words each; none if there is no file. Raises ``RotaError``."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except UnicodeDecodeError as error:
        raise RotaError(f"{path}: not a checkpoint file") from error
    entries = [line.split() for line in lines[2:] if line.strip()]
    well_formed = (
        len(lines) >= 2
        and lines[0].strip() == "0"
        and lines[1].strip() == str(len(entries))
        and all(
            len(entry) == width and all(_NUMBER.fullmatch(word) for word in entry[-2:]) for entry in entries
        )
    )
    if not well_formed:
        raise RotaError(f"{path}: not a checkpoint file of version 0")
    return entries


def write_lines(path: Path, lines: Iterable[str], *, sync: bool = True) -> None:
    """Replace a checkpoint."""
    entries = list(lines)
    text = "".join(f"{line}\n" for line in ("0", str(len(entries)), *entries))
    replace_file(path, text.encode(), sync=sync)


def read_offsets(path: Path) -> dict[TopicPartition, int]:
    """A checkpoint with an offset for each partition."""
    return {
        TopicPartition(topic, int(partition)): int(offset) for topic, partition, offset in read_lines(path, 3)
    }


def write_offsets(path: Path, offsets: Mapping[TopicPartition, int], *, sync: bool = True) -> None:
    """Replace a checkpoint with an offset for each partition."""
    lines = [f"{tp.topic} {tp.partition} {offset}" for tp, offset in sorted(offsets.items())]
    write_lines(path, lines, sync=sync)
