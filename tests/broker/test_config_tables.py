"""The tables of Kafka's configs: complete, with Kafka's defaults, and strict about values."""

from __future__ import annotations

import pytest

from rota.broker.configs import BROKER, GROUP, TOPIC, TYPE_CODES, ConfigDef, nearest
from rota.model import RotaError

EVERY = [*BROKER.values(), *TOPIC.values(), *GROUP.values()]


def test_tables_are_as_large_as_kafkas() -> None:
    assert (len(BROKER), len(TOPIC), len(GROUP)) == (336, 34, 10)


@pytest.mark.parametrize(
    ("table", "name", "default"),
    [
        (BROKER, "group.initial.rebalance.delay.ms", 3_000),
        (BROKER, "group.min.session.timeout.ms", 6_000),
        (BROKER, "group.max.session.timeout.ms", 1_800_000),
        (BROKER, "group.consumer.session.timeout.ms", 45_000),
        (BROKER, "group.consumer.heartbeat.interval.ms", 5_000),
        (BROKER, "group.consumer.assignors", ["uniform", "range"]),
        (BROKER, "offsets.topic.num.partitions", 50),
        (BROKER, "offsets.topic.segment.bytes", 104_857_600),
        (BROKER, "offsets.retention.minutes", 10_080),
        (BROKER, "offset.metadata.max.bytes", 4_096),
        (BROKER, "auto.create.topics.enable", True),
        (BROKER, "num.partitions", 1),
        (BROKER, "log.retention.hours", 168),
        (BROKER, "log.retention.ms", None),
        (BROKER, "message.max.bytes", 1_048_588),
        (BROKER, "transaction.state.log.num.partitions", 50),
        (BROKER, "sasl.enabled.mechanisms", ["GSSAPI"]),
        (TOPIC, "cleanup.policy", ["delete"]),
        (TOPIC, "retention.ms", 604_800_000),
        (TOPIC, "retention.bytes", -1),
        (TOPIC, "segment.bytes", 2**30),
        (TOPIC, "min.cleanable.dirty.ratio", 0.5),
        (TOPIC, "flush.messages", 2**63 - 1),
        (TOPIC, "message.timestamp.type", "CreateTime"),
        (GROUP, "consumer.session.timeout.ms", 45_000),
        (GROUP, "share.auto.offset.reset", "latest"),
    ],
)
def test_defaults_are_kafkas(table: dict[str, ConfigDef], name: str, default: object) -> None:
    assert table[name].default == default


def test_every_default_can_be_set() -> None:
    for definition in EVERY:
        assert definition.type in TYPE_CODES
        if definition.default_text is not None:
            assert definition.parse(definition.default_text) == definition.default


def test_synonyms_of_topic_configs_are_broker_configs() -> None:
    assert TOPIC["retention.ms"].synonyms == (
        "log.retention.ms",
        "log.retention.minutes",
        "log.retention.hours",
    )
    assert {synonym for each in TOPIC.values() for synonym in each.synonyms} <= set(BROKER)


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("num.partitions", "read-only"),
        ("group.initial.rebalance.delay.ms", "read-only"),
        ("ssl.keystore.location", "per-broker"),
        ("listeners", "per-broker"),
        ("log.retention.ms", "cluster-wide"),
        ("max.connections", "cluster-wide"),
    ],
)
def test_modes(name: str, mode: str) -> None:
    assert (BROKER[name].mode, BROKER[name].is_dynamic) == (mode, mode != "read-only")


@pytest.mark.parametrize(
    ("definition", "text", "value"),
    [
        (TOPIC["cleanup.policy"], "compact, delete", ["compact", "delete"]),
        (TOPIC["compression.gzip.level"], "-1", -1),
        (TOPIC["leader.replication.throttled.replicas"], "0:1,1:2", ["0:1", "1:2"]),
        (TOPIC["follower.replication.throttled.replicas"], "*", ["*"]),
        (TOPIC["preallocate"], " TRUE ", True),
        (TOPIC["min.cleanable.dirty.ratio"], "1e-1", 0.1),
        (BROKER["group.consumer.migration.policy"], "Upgrade", "Upgrade"),
        (GROUP["share.auto.offset.reset"], "by_duration:PT1H", "by_duration:PT1H"),
    ],
)
def test_values_that_are_allowed(definition: ConfigDef, text: str, value: object) -> None:
    assert definition.parse(text) == value


@pytest.mark.parametrize(
    ("definition", "text", "allowed"),
    [
        (TOPIC["cleanup.policy"], "compact,remove", "compact, delete"),
        (TOPIC["cleanup.policy"], "Compact", "compact, delete"),
        (TOPIC["compression.gzip.level"], "10", "1 to 9, or -1"),
        (TOPIC["retention.ms"], "-2", "at least -1"),
        (TOPIC["retention.ms"], "7d", "a whole number"),
        (TOPIC["retention.ms"], "1_000", "a whole number"),
        (TOPIC["max.message.bytes"], "2147483648", "a whole number that fits Kafka's int"),
        (TOPIC["preallocate"], "yes", "true or false"),
        (TOPIC["leader.replication.throttled.replicas"], "0-1", "*, or pairs PARTITION:BROKER,…"),
        (TOPIC["min.cleanable.dirty.ratio"], "2", "0 to 1"),
        (TOPIC["min.cleanable.dirty.ratio"], "nan", "a number"),
        (BROKER["group.consumer.migration.policy"], "up", "DISABLED, DOWNGRADE, UPGRADE, BIDIRECTIONAL"),
        (GROUP["share.auto.offset.reset"], "none", "latest, earliest, or by_duration:PnDTnHnMn.nS"),
    ],
)
def test_values_that_are_not(definition: ConfigDef, text: str, allowed: str) -> None:
    with pytest.raises(RotaError) as caught:
        definition.parse(text)
    assert str(caught.value) == f"config {definition.name}={text}: allowed is {allowed}"


def test_nearest_name_of_a_misspelt_one() -> None:
    assert nearest("group.inital.rebalance.delay.ms") == "group.initial.rebalance.delay.ms"
    assert nearest("retention.sm", TOPIC) == "retention.ms"
    assert nearest("colour") is None


def test_what_has_an_effect_is_known() -> None:
    effective = {each.name for each in EVERY if each.effective}
    assert {"group.initial.rebalance.delay.ms", "retention.ms", "log.retention.hours"} <= effective
    assert "zookeeper.connect" not in BROKER
