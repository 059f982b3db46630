"""Files of ``name=value`` lines, as Kafka has them: ``server.properties``, ``client.properties``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rota.model import RotaError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_properties"]


def read_properties(path: Path) -> dict[str, str]:
    """Read a ``.properties`` file, as Java writes it.

    Lines hold ``name=value`` or ``name: value``; ``#`` and ``!`` open comments; a final backslash goes on.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise RotaError(f"cannot read {path}: {reason}", exit_code=2) from None
    found: dict[str, str] = {}
    pending = ""
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not pending and (not line or line[0] in "#!"):
            continue
        line = pending + line
        if line.endswith("\\"):
            pending = line[:-1]
            continue
        pending = ""
        match = re.match(r"([^=:\s]+)\s*[=:]\s*(.*)$", line)
        if match is None:
            raise RotaError(f"{path}, line {number}: expected name=value, found {line!r}", exit_code=2)
        found[match[1]] = match[2]
    return found
