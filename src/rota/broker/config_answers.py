"""How configs are described: value, where it comes from, and what it would be otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from rota.broker.configs import BROKER, GROUP, TOPIC, TYPE_CODES, ConfigDef, Value
from rota.broker.topic_settings import broker_value
from rota.model import RotaError
from rota.plain import Plain

if TYPE_CHECKING:
    from rota.broker.broker import Broker

__all__ = ["ConfigEntry", "broker_entries", "group_entries", "topic_entries", "value_text"]

# ConfigSource of DescribeConfigs.
TOPIC_SET: Final = 1
BROKER_SET: Final = 2
CLUSTER_SET: Final = 3
STATIC: Final = 4
DEFAULT: Final = 5
GROUP_SET: Final = 8


class ConfigEntry(Plain, frozen=False):
    """One config as DescribeConfigs shows it; ``synonyms`` are (name, value, source), the deciding one first."""

    name: str
    value: str | None
    source: int
    type_code: int
    read_only: bool = False
    is_sensitive: bool = False
    synonyms: tuple[tuple[str, str | None, int], ...] = ()


def value_text(value: Value) -> str | None:
    """A parsed value as Kafka prints it."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(value)
    return str(value)


def topic_entries(broker: Broker, configs: Mapping[str, str]) -> Iterator[ConfigEntry]:
    """Every public topic config, for a topic for which ``configs`` are set."""
    for name, definition in TOPIC.items():
        if definition.is_internal and name not in configs:
            continue
        chain: list[tuple[str, str | None, int]] = []
        if name in configs:
            chain.append((name, configs[name], TOPIC_SET))
        inherited = broker_value(name, broker.settings)
        if inherited is not None:
            chain.append((inherited[0], value_text(inherited[1]), broker.settings.source(inherited[0])))
        fallback = definition.synonyms[0] if definition.synonyms else name
        chain.append((fallback, value_text(definition.default), DEFAULT))
        yield _entry(definition, chain)


def broker_entries(broker: Broker) -> Iterator[ConfigEntry]:
    """Every public broker config with its value here."""
    settings = broker.settings
    for name, definition in BROKER.items():
        if definition.is_internal and not settings.is_set(name):
            continue
        chain = [(name, text, source) for text, source in settings.chain(name)]
        yield _entry(definition, chain, read_only=not definition.is_dynamic)


def group_entries(configs: Mapping[str, str]) -> Iterator[ConfigEntry]:
    """Every group config, for a group for which ``configs`` are set."""
    for name, definition in GROUP.items():
        chain: list[tuple[str, str | None, int]] = []
        if name in configs:
            chain.append((name, configs[name], GROUP_SET))
        chain.append((name, value_text(definition.default), DEFAULT))
        yield _entry(definition, chain)


def _entry(
    definition: ConfigDef, chain: list[tuple[str, str | None, int]], *, read_only: bool = False
) -> ConfigEntry:
    if definition.is_sensitive:
        chain = [(name, None, source) for name, _, source in chain]
    _, value, source = chain[0]
    try:
        # As Kafka prints it: "TRUE" was accepted, "true" is shown.
        shown = value if value is None or definition.is_sensitive else value_text(definition.parse(value))
    except RotaError:
        shown = value
    return ConfigEntry(
        definition.name,
        shown,
        source,
        TYPE_CODES[definition.type],
        read_only=read_only,
        is_sensitive=definition.is_sensitive,
        synonyms=tuple(each for each in chain if each[1] is not None or definition.is_sensitive),
    )
