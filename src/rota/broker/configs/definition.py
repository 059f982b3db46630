"""What a config is: its type, its default, which values it can have, and whether this broker acts on it."""

from __future__ import annotations

import re

from rota.model import RotaError
from rota.plain import Plain

__all__ = ["TYPE_CODES", "ConfigDef", "Value"]

Value = str | int | float | bool | list[str] | None

TYPE_CODES = {
    "boolean": 1,
    "string": 2,
    "int": 3,
    "short": 4,
    "long": 5,
    "double": 6,
    "list": 7,
    "class": 8,
    "password": 9,
}
"""The numbers that DescribeConfigs uses for the types."""

_LIMITS = {"short": 2**15, "int": 2**31, "long": 2**63}
_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"

_NAMED = {
    "<replicas>": (r"\*?|\d+:\d+(\s*,\s*\d+:\d+)*", "*, or pairs PARTITION:BROKER,…"),
    "<offset-reset>": (
        r"latest|earliest|by_duration:P[0-9DTHMS.]+",
        "latest, earliest, or by_duration:PnDTnHnMn.nS",
    ),
    "<non-empty>": (r".+", "some text"),
}
"""Kinds of values that are neither a range nor a choice: pattern, and the words for it."""


class ConfigDef(Plain):
    """One config of Kafka's.

    ``default_text`` is None where Kafka has no default. ``valid`` is ``low..high`` (either may be missing),
    optionally followed by `` or X``; or ``a|b|c``, with ``~`` before it if case does not matter; or a kind in
    angle brackets. ``mode`` is a broker config's: ``read-only`` (set when the broker starts), ``per-broker``
    (can be changed for one broker) or ``cluster-wide`` (for all, or for one). ``synonyms`` are the broker
    configs that a topic config falls back to, the first that is set. ``effective``: this broker acts on it.
    """

    name: str
    type: str
    default_text: str | None
    valid: str = ""
    mode: str = "read-only"
    is_internal: bool = False
    synonyms: tuple[str, ...] = ()
    effective: bool = False

    @property
    def default(self) -> Value:
        """The default, parsed."""
        return None if self.default_text is None else self._parse(self.default_text)

    @property
    def is_dynamic(self) -> bool:
        """Can be changed while the broker runs."""
        return self.mode != "read-only"

    @property
    def is_sensitive(self) -> bool:
        """Never shown."""
        return self.type == "password"

    def parse(self, text: str) -> Value:
        """The value that ``text`` stands for. Raises ``RotaError`` with what is allowed."""
        value = self._parse(text)
        if self.valid:
            self._check(text, value)
        return value

    def _parse(self, text: str) -> Value:
        text = text.strip()
        match self.type:
            case "boolean":
                if text.lower() not in {"true", "false"}:
                    raise self._error(text, "true or false")
                return text.lower() == "true"
            case "int" | "long" | "short":
                if not _WHOLE.fullmatch(text):
                    raise self._error(text, "a whole number")
                number = int(text)
                if not -_LIMITS[self.type] <= number < _LIMITS[self.type]:
                    raise self._error(text, f"a whole number that fits Kafka's {self.type}")
                return number
            case "double":
                if not re.fullmatch(_NUMBER, text):
                    raise self._error(text, "a number")
                return float(text)
            case "list":
                return [part.strip() for part in text.split(",")] if text else []
            case _:
                return text

    def _check(self, text: str, value: Value) -> None:
        if self.valid in _NAMED:
            pattern, words = _NAMED[self.valid]
            if not re.fullmatch(pattern, text.strip()):
                raise self._error(text, words)
        elif ".." in self.valid:
            self._check_range(text, value)
        else:
            any_case = self.valid.startswith("~")
            choices = self.valid.removeprefix("~").split("|")
            for each in value if isinstance(value, list) else [value]:
                if (str(each).upper() if any_case else each) not in choices:
                    raise self._error(text, ", ".join(choices))

    def _check_range(self, text: str, value: Value) -> None:
        bounds, _, exception = self.valid.partition(" or ")
        low, _, high = bounds.partition("..")
        assert isinstance(value, int | float)
        inside = (not low or value >= float(low)) and (not high or value <= float(high))
        if not inside and text.strip() != exception:
            limits = f"{low} to {high}" if low and high else f"at least {low}" if low else f"at most {high}"
            raise self._error(text, limits + (f", or {exception}" if exception else ""))

    def _error(self, text: str, allowed: str) -> RotaError:
        return RotaError(f"config {self.name}={text}: allowed is {allowed}", exit_code=2)
