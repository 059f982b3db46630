"""How configs are described: value, where it comes from, and what it would be otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import dropwhile
from typing import TYPE_CHECKING, Final

from rota.broker.configs import BROKER, GROUP, TOPIC, TYPE_CODES, ConfigDef, Value
from rota.broker.topic_settings import broker_value
from rota.model import RotaError
from rota.plain import Plain

if TYPE_CHECKING:
    from rota.broker.broker import Broker

__all__ = [
    "ConfigEntry",
    "broker_entries",
    "cluster_entries",
    "group_entries",
    "topic_entries",
    "value_text",
]

# ConfigSource of DescribeConfigs.
TOPIC_SET: Final = 1
BROKER_SET: Final = 2
CLUSTER_SET: Final = 3
STATIC: Final = 4
DEFAULT: Final = 5
GROUP_SET: Final = 8


# What is also known in other units, such as log.retention.ms, is told with them.
_IN_OTHER_UNITS: Final = {each.synonyms[0]: each.synonyms for each in TOPIC.values() if each.synonyms}


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
    return str(value).replace("e+", "E") if isinstance(value, float) else str(value)


def topic_entries(broker: Broker, configs: Mapping[str, str]) -> Iterator[ConfigEntry]:
    """Every public topic config, for a topic for which ``configs`` are set."""
    for name, definition in TOPIC.items():
        if definition.is_internal and name not in configs:
            continue
        chain = _inherited(broker, definition.synonyms)
        if name in configs:
            chain.insert(0, (name, configs[name], TOPIC_SET))
            value: str | None = configs[name]
        else:
            inherited = broker_value(name, broker.settings)
            value = value_text(definition.default if inherited is None else inherited[1])
        yield _entry(definition, value, chain)


def _inherited(broker: Broker, synonyms: Sequence[str]) -> list[tuple[str, str | None, int]]:
    """What a config falls back to, as Kafka lists it: by source, and nothing before the first synonym's own.

    So of ``log.retention.hours`` alone, which decides ``retention.ms``, nothing is said.
    """
    found = [(name, text, source) for name in synonyms for text, source in broker.settings.chain(name)]
    found = sorted((each for each in found if each[1] is not None), key=lambda each: each[2])
    return list(dropwhile(lambda each: each[0] != synonyms[0], found))


def broker_entries(broker: Broker) -> Iterator[ConfigEntry]:
    """Every public broker config with its value here."""
    settings = broker.settings
    for name, definition in BROKER.items():
        if definition.is_internal and not settings.is_set(name):
            continue
        chain = _inherited(broker, _IN_OTHER_UNITS.get(name, (name,)))
        yield _entry(definition, settings.chain(name)[0][0], chain, read_only=not definition.is_dynamic)


def cluster_entries(broker: Broker) -> Iterator[ConfigEntry]:
    """The broker configs that are set for the whole cluster."""
    for name, value in broker.dynamic_configs(None).items():
        yield _entry(BROKER[name], value, [(name, value, CLUSTER_SET)])


def group_entries(configs: Mapping[str, str]) -> Iterator[ConfigEntry]:
    """Every group config, for a group for which ``configs`` are set."""
    for name, definition in GROUP.items():
        if name in configs:  # then Kafka does not tell the default
            chain: list[tuple[str, str | None, int]] = [(name, configs[name], GROUP_SET)]
        else:
            chain = [(name, value_text(definition.default), DEFAULT)]
        yield _entry(definition, chain[0][1], chain)


def _entry(
    definition: ConfigDef,
    value: str | None,
    chain: list[tuple[str, str | None, int]],
    *,
    read_only: bool = False,
) -> ConfigEntry:
    known = [each for each in chain if each[1] is not None]
    if definition.is_sensitive:
        value, known = None, [(name, None, source) for name, _, source in known]
    try:
        # As Kafka prints it: "TRUE" was accepted, "true" is shown.
        shown = value if value is None else value_text(definition.parse(value))
    except RotaError:
        shown = value
    return ConfigEntry(
        definition.name,
        shown,
        known[0][2] if known else DEFAULT,
        TYPE_CODES[definition.type],
        read_only=read_only,
        is_sensitive=definition.is_sensitive,
        synonyms=tuple(known),
    )
