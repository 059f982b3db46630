"""How configs are described: value, where it comes from, and what it would be otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import dropwhile
from typing import TYPE_CHECKING, Final

from rota.broker import client_metrics, loggers
from rota.broker.configs import BROKER, GROUP, TOPIC, TYPE_CODES, ConfigDef, Value
from rota.broker.configs.dynamic import broker_definition
from rota.broker.topic_settings import broker_value
from rota.model import RotaError
from rota.plain import Plain

if TYPE_CHECKING:
    from rota.broker.broker import Broker

__all__ = [
    "ConfigEntry",
    "broker_entries",
    "client_metrics_entries",
    "cluster_entries",
    "group_entries",
    "logger_entries",
    "topic_entries",
    "value_text",
]

# ConfigSource of DescribeConfigs.
TOPIC_SET: Final = 1
BROKER_SET: Final = 2
CLUSTER_SET: Final = 3
STATIC: Final = 4
DEFAULT: Final = 5
LOGGER_SET: Final = 6
CLIENT_METRICS_SET: Final = 7
GROUP_SET: Final = 8


_UNKNOWN_TYPE: Final = 0

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
    documentation: str | None = None


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
    cluster, own = broker.dynamic_configs(None), broker.dynamic_configs(broker.node_id)
    for name in dict.fromkeys((*own, *cluster)):
        if name not in BROKER:
            chain = [
                (name, each[name], source)
                for each, source in ((own, BROKER_SET), (cluster, CLUSTER_SET))
                if name in each
            ]
            yield _unlisted(broker, name, chain, with_base=True)


def cluster_entries(broker: Broker) -> Iterator[ConfigEntry]:
    """The broker configs that are set for the whole cluster."""
    for name, value in broker.dynamic_configs(None).items():
        chain: list[tuple[str, str | None, int]] = [(name, value, CLUSTER_SET)]
        if name in BROKER:
            yield _entry(BROKER[name], value, chain)
        else:
            yield _unlisted(broker, name, chain, with_base=False)


def _unlisted(
    broker: Broker, name: str, chain: list[tuple[str, str | None, int]], *, with_base: bool
) -> ConfigEntry:
    """A broker config that is set, and in no table: of what nobody knows, the value might be a secret."""
    definition = broker_definition(name)
    if definition is None:
        hidden = tuple((each, None, source) for each, _, source in chain)
        return ConfigEntry(name, None, chain[0][2], _UNKNOWN_TYPE, True, True, hidden)
    base = definition.name.partition("listener.name.")[2].partition(".")[2]
    if with_base and base:
        chain = chain + _inherited(broker, (base,))
    return _entry(definition, chain[0][1], chain, read_only=True)


def group_entries(broker: Broker, configs: Mapping[str, str]) -> Iterator[ConfigEntry]:
    """Every group config, for a group for which ``configs`` are set; the others are as the broker's own ``group.…``."""
    for name, definition in GROUP.items():
        if name in configs:  # then Kafka does not tell the default
            chain: list[tuple[str, str | None, int]] = [(name, configs[name], GROUP_SET)]
        else:
            own = f"group.{name}"
            value = broker.settings.get(own) if own in BROKER else definition.default
            chain = [(name, value_text(value), DEFAULT)]
        yield _entry(definition, chain[0][1], chain)


def client_metrics_entries(configs: Mapping[str, str]) -> Iterator[ConfigEntry]:
    """Every config of a subscription to clients' metrics, for one for which ``configs`` are set."""
    for name, definition in client_metrics.CONFIGS.items():
        if name in configs:
            yield _entry(definition, configs[name], [(name, configs[name], CLIENT_METRICS_SET)])
        else:
            yield _entry(definition, definition.default_text, [])


def logger_entries() -> Iterator[ConfigEntry]:
    """Every logger as a config whose value is its level."""
    for name, level in loggers.levels().items():
        yield ConfigEntry(name, level, LOGGER_SET, _UNKNOWN_TYPE, documentation="")


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
