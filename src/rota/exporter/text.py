"""Prometheus' text format (version 0.0.4): families of samples, each sample a line."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CONTENT_TYPE", "Family", "escaped", "labels", "number"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Family:
    """All samples of one name; ``kind`` is ``gauge`` or ``counter``."""

    name: str
    help: str
    kind: str = "gauge"

    def head(self) -> str:
        """What stands above the samples."""
        words = self.help.replace("\\", r"\\").replace("\n", r"\n")
        return f"# HELP {self.name} {words}\n# TYPE {self.name} {self.kind}\n"


def escaped(value: str) -> str:
    """A label's value; names of groups may hold anything."""
    if "\\" in value or '"' in value or "\n" in value:
        return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return value


def labels(**values: str) -> str:
    """``a="x",b="y"``, in the order given."""
    return ",".join(f'{name}="{escaped(value)}"' for name, value in values.items())


def number(value: float) -> str:
    """A sample's value: whole numbers as such."""
    return str(int(value)) if value == int(value) else repr(round(value, 6))
