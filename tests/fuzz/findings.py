"""What the fuzzer finds, each kind once, in files that are tests from then on (`tests/fuzz/cases`)."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Iterable
from pathlib import Path

__all__ = ["CASES", "Findings", "read_case", "write_case"]

CASES = Path(__file__).with_name("cases")
_WIDTH = 110


class Findings:
    """Counts every finding, and writes the first of each kind to a file."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.counts: dict[str, int] = {}

    def add(self, what: str, signature: str, text: str, inputs: Iterable[bytes]) -> bool:
        """One finding: ``inputs`` are the bytes that one connection had sent. True if it is the first of its kind."""
        kind = f"{what}: {signature}"
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if self.counts[kind] > 1:
            return False
        self._directory.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(kind.encode()).hexdigest()[:8]
        lines = [f"# {kind}", *(f"# {line}"[:_WIDTH] for line in text.splitlines()[-60:])]
        write_case(self._directory / f"{what.replace(' ', '-')}-{name}.txt", lines, inputs)
        return True


def write_case(file: Path, comments: Iterable[str], inputs: Iterable[bytes]) -> None:
    """A case: what was found, as comments, and an input a line, compressed, in base64."""
    lines = [*comments, *(base64.b64encode(zlib.compress(each, 9)).decode() for each in inputs)]
    file.write_text("\n".join(lines) + "\n")


def read_case(file: Path) -> list[bytes]:
    """The inputs of a case, in the order in which they were sent."""
    return [
        zlib.decompress(base64.b64decode(line))
        for line in file.read_text().splitlines()
        if line and line[0] != "#"
    ]
