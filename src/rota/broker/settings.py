"""The broker's configuration as its parts read it: Kafka's names, parsed once.

A value comes from, in order: a dynamic setting of this broker, a dynamic cluster-wide default, the start
options, the default of Apache Kafka 4.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from rota.broker.configs import BROKER, ConfigDef, Value, nearest
from rota.model import RotaError

__all__ = ["Settings"]


class Settings:
    """Every broker config of Kafka 4.1, with what this broker was started with and told since."""

    def __init__(self, static: Mapping[str, str]) -> None:
        self.static: dict[str, str] = {}
        self._parsed: dict[str, Value] = {}
        for name, value in static.items():
            self.definition(name).parse(value)
            self.static[name] = value
        self._dynamic: dict[str, str] = {}

    @staticmethod
    def definition(name: str) -> ConfigDef:
        """The definition of a broker config; a ``RotaError`` with the nearest known name if there is none."""
        found = BROKER.get(name)
        if found is None:
            near = nearest(name)
            hint = f"; did you mean {near}?" if near else ""
            raise RotaError(f"unknown broker config {name!r}{hint}", exit_code=2)
        return found

    def set_dynamic(self, values: Mapping[str, str]) -> None:
        """Take over the dynamic settings: cluster-wide ones, overridden by this broker's own."""
        self._dynamic = dict(values)
        self._parsed.clear()

    def without_effect(self) -> list[str]:
        """The start options that mean nothing on one node."""
        return sorted(name for name in self.static if not BROKER[name].effective)

    def is_set(self, name: str) -> bool:
        """True unless the value is Kafka's default."""
        return name in self._dynamic or name in self.static

    def get(self, name: str) -> Value:
        """The parsed value of ``name``."""
        try:
            return self._parsed[name]
        except KeyError:
            definition = self.definition(name)
            raw = self._dynamic.get(name, self.static.get(name))
            value = definition.default if raw is None else definition.parse(raw)
            self._parsed[name] = value
            return value

    def int(self, name: str) -> int:
        """A whole number: counts, bytes, milliseconds."""
        value = self.get(name)
        assert isinstance(value, int), name
        return value

    def bool(self, name: str) -> bool:
        """A switch."""
        value = self.get(name)
        assert isinstance(value, bool), name
        return value

    def text(self, name: str) -> str:
        """The value as text, as a description of the config shows it."""
        value = self.get(name)
        if isinstance(value, list):
            return ",".join(map(str, value))
        if isinstance(value, bool):
            return "true" if value else "false"
        return "" if value is None else str(value)
