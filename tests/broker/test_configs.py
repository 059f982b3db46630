"""Kafka's configs: every name, its default, what it may be, and what is said of a name nobody knows."""

from __future__ import annotations

import pytest

from rota.broker.configs import BROKER, GROUP, TOPIC, nearest
from rota.broker.group_settings import consumer_assignors
from rota.broker.settings import Settings
from rota.broker.topic_settings import log_config
from rota.model import RotaError


def test_the_tables_are_kafkas() -> None:
    assert (len(BROKER), len(TOPIC), len(GROUP)) == (336, 34, 10)


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("group.initial.rebalance.delay.ms", 3000),
        ("group.min.session.timeout.ms", 6000),
        ("group.max.session.timeout.ms", 1_800_000),
        ("group.max.size", 2**31 - 1),
        ("offset.metadata.max.bytes", 4096),
        ("offsets.retention.minutes", 10_080),
        ("offsets.topic.num.partitions", 50),
        ("auto.create.topics.enable", True),
        ("num.partitions", 1),
        ("message.max.bytes", 1_048_588),
        ("socket.request.max.bytes", 104_857_600),
        ("log.retention.hours", 168),
        ("log.segment.bytes", 1_073_741_824),
        ("connections.max.idle.ms", 600_000),
        ("log.cleanup.policy", ["delete"]),
        ("max.incremental.fetch.session.cache.slots", 1000),
    ],
)
def test_defaults_are_kafkas(name: str, default: object) -> None:
    assert BROKER[name].default == default


def test_every_default_is_a_value_its_config_may_have() -> None:
    for table in (BROKER, TOPIC, GROUP):
        for definition in table.values():
            if definition.default_text is not None:
                definition.parse(definition.default_text)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("num.partitions", "x", "config num.partitions=x: allowed is a whole number"),
        ("num.partitions", "0", "config num.partitions=0: allowed is at least 1"),
        (
            "auto.create.topics.enable",
            "yes",
            "config auto.create.topics.enable=yes: allowed is true or false",
        ),
        ("num.partitions", str(2**31), "fits Kafka's int"),
        ("log.message.timestamp.type", "Now", "CreateTime, LogAppendTime"),
    ],
)
def test_a_value_that_cannot_be_is_refused_in_one_line(name: str, text: str, said: str) -> None:
    with pytest.raises(RotaError) as caught:
        BROKER[name].parse(text)
    assert said in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("configs", "said"),
    [
        ({"assignors": "foo"}, "config group.consumer.assignors=foo: allowed is uniform, range"),
        (
            {"assignors": "uniform,foo"},
            "config group.consumer.assignors=uniform,foo: allowed is uniform, range",
        ),
        ({"assignors": ""}, "config group.consumer.assignors=: allowed is uniform, range"),
        (
            {"session.timeout.ms": "1000"},
            (
                "config group.consumer.session.timeout.ms=1000: allowed is 45000 to 60000"
                " (group.consumer.min.session.timeout.ms, group.consumer.max.session.timeout.ms)"
            ),
        ),
        (
            {"heartbeat.interval.ms": "15001"},
            (
                "config group.consumer.heartbeat.interval.ms=15001: allowed is 5000 to 15000"
                " (group.consumer.min.heartbeat.interval.ms, group.consumer.max.heartbeat.interval.ms)"
            ),
        ),
        (
            {"min.session.timeout.ms": "60001"},
            (
                "config group.consumer.min.session.timeout.ms=60001: allowed is at most 60000"
                " (group.consumer.max.session.timeout.ms)"
            ),
        ),
        (
            {"min.session.timeout.ms": "5000", "session.timeout.ms": "5000"},
            (
                "config group.consumer.heartbeat.interval.ms=5000: allowed is less than 5000"
                " (group.consumer.session.timeout.ms)"
            ),
        ),
    ],
)
def test_consumer_groups_settings_that_do_not_go_together_are_refused(
    configs: dict[str, str], said: str
) -> None:
    """As by Kafka, at the start and not with the first group."""
    with pytest.raises(RotaError) as caught:
        Settings({f"group.consumer.{name}": value for name, value in configs.items()})
    assert str(caught.value) == said
    assert caught.value.exit_code == 2


def test_assignors_may_be_named_by_kafkas_classes() -> None:
    both = "range, org.apache.kafka.coordinator.group.assignor.UniformAssignor"
    assert consumer_assignors(Settings({"group.consumer.assignors": both})) == ("range", "uniform")


def test_an_unknown_name_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(RotaError, match=r"did you mean group\.initial\.rebalance\.delay\.ms\?"):
        Settings({"group.initial.rebalance.delay": "0"})
    assert nearest("qqqqqqqq") is None


def test_what_means_nothing_on_one_node_is_accepted_and_named() -> None:
    settings = Settings({"num.replica.fetchers": "3", "num.partitions": "4"})
    assert settings.without_effect() == ["num.replica.fetchers"]


def test_a_dynamic_value_of_this_broker_wins_over_the_clusters_over_the_start_options() -> None:
    settings = Settings({"log.retention.ms": "1"})
    assert settings.int("log.retention.ms") == 1
    settings.set_dynamic({"log.retention.ms": "2"}, {})
    assert settings.int("log.retention.ms") == 2
    settings.set_dynamic({"log.retention.ms": "2"}, {"log.retention.ms": "3"})
    assert settings.int("log.retention.ms") == 3
    assert [source for _, source in settings.chain("log.retention.ms")] == [2, 3, 4, 5]


def test_a_topic_takes_the_finest_unit_the_broker_sets() -> None:
    assert log_config({}, Settings({"log.retention.hours": "2"})).retention_ms == 7_200_000
    both = Settings({"log.retention.hours": "2", "log.retention.minutes": "1"})
    assert log_config({}, both).retention_ms == 60_000
    assert log_config({"retention.ms": "5"}, both).retention_ms == 5


def test_retention_without_limit_stays_without_limit_in_any_unit() -> None:
    assert log_config({}, Settings({"log.retention.minutes": "-1"})).retention_ms == -1
