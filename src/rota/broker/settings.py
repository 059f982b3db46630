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
        if (
            static.get("log.cleaner.threads", "").strip() == "0"
        ):  # in Kafka's table, but no Kafka starts with it
            raise RotaError("config log.cleaner.threads=0: allowed is at least 1", exit_code=2)
        self._cluster: dict[str, str] = {}
        self._own: dict[str, str] = {}
        if any(name.startswith("group.consumer.") for name in static):
            from rota.broker.group_settings import check_consumer_groups

            check_consumer_groups(self)

    @staticmethod
    def definition(name: str) -> ConfigDef:
        """The definition of a broker config; a ``RotaError`` with the nearest known name if there is none."""
        found = BROKER.get(name)
        if found is None:
            near = nearest(name)
            hint = f"; did you mean {near}?" if near else "; Kafka's documentation lists those there are"
            raise RotaError(f"unknown broker config {name!r}{hint}", exit_code=2)
        return found

    def started_with(self, values: Mapping[str, str]) -> None:
        """Add start options that were said in other ways than as configs, such as the port."""
        self.static.update(values)
        for name in values:
            self._parsed.pop(name, None)

    def set_dynamic(self, cluster: Mapping[str, str], own: Mapping[str, str]) -> None:
        """Take over the dynamic settings: cluster-wide ones, and this broker's own, which override them."""
        self._cluster = dict(cluster)
        self._own = dict(own)
        self._parsed.clear()

    def without_effect(self) -> list[str]:
        """The start options that mean nothing on one node."""
        return sorted(name for name in self.static if not BROKER[name].effective)

    def is_set(self, name: str) -> bool:
        """True unless the value is Kafka's default."""
        return name in self._own or name in self._cluster or name in self.static

    def chain(self, name: str) -> list[tuple[str | None, int]]:
        """Every value that ``name`` was given and where (DescribeConfigs' source numbers), the deciding one first."""
        found: list[tuple[str | None, int]] = [
            (values[name], source)
            for values, source in ((self._own, 2), (self._cluster, 3), (self.static, 4))
            if name in values
        ]
        return [*found, (self.definition(name).default_text, 5)]

    def source(self, name: str) -> int:
        """Where the value of ``name`` comes from."""
        return self.chain(name)[0][1]

    def get(self, name: str) -> Value:
        """The parsed value of ``name``."""
        try:
            return self._parsed[name]
        except KeyError:
            definition = self.definition(name)
            raw = self.chain(name)[0][0]
            value = None if raw is None else definition.parse(raw)
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
