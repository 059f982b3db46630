"""The client's configuration: what is refused, what is set, what is shown."""

import socket
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException

from rota.consumer import Limits, static_id
from rota.consumer.settings import (
    _MORE_NAMES,
    DEFAULTS,
    check_limits,
    differences,
    effective_config,
    refused,
    shown,
)
from rota.model import RotaError

CONFIG: dict[str, Any] = {"bootstrap.servers": "127.0.0.1:9", "group.id": "g"}


def limits(**values: Any) -> Limits:
    return Limits(**values)


def test_what_the_runtime_sets_is_what_it_says() -> None:
    config = effective_config(CONFIG)
    assert {name: config[name] for name in DEFAULTS} == {
        name: ours for name, (ours, _, _) in DEFAULTS.items()
    }
    assert config["enable.auto.commit"] is False
    assert config["enable.auto.offset.store"] is False
    assert len(differences(config)) == len(DEFAULTS)
    assert any(
        "fetch.queue.backoff.ms=5 (librdkafka: 1000; a consumer" in line for line in differences(config)
    )


def test_what_the_application_sets_wins_and_is_no_difference() -> None:
    config = effective_config({**CONFIG, "auto.offset.reset": "latest"})
    assert config["auto.offset.reset"] == "latest"
    assert not any("auto.offset.reset" in line for line in differences(config))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            {"enable.auto.commit": True},
            "enable.auto.commit cannot be set: Rota commits what handlers have finished",
        ),
        ({"enable.auto.offset.store": False}, "enable.auto.offset.store cannot be set: Rota commits"),
        ({"auto.commit.interval.ms": 5}, "say Limits(commit_interval=…)"),
        ({"on_commit": print}, "on_commit cannot be set"),
        ({"enable.partition.eof": True}, "the end of a partition is no record"),
        ({"group.id": ""}, "group.id is missing"),
        ({"bootstrap.servers": None}, "bootstrap.servers is missing"),
        ({"group.protocol": "consumer", "session.timeout.ms": 6000}, "consumer.session.timeout.ms"),
        ({"group.protocol": "consumer", "heartbeat.interval.ms": 1}, "where the broker decides"),
        (
            {"group.protocol": "consumer", "partition.assignment.strategy": "range"},
            "say group.remote.assignor=uniform or range",
        ),
        ({"max.poll.records": 1}, "belongs to Java clients"),
    ],
)
def test_what_cannot_be_set_says_why(config: dict[str, Any], words: str) -> None:
    with pytest.raises(RotaError) as caught:
        effective_config({**CONFIG, **config})
    assert words in str(caught.value)


def test_with_the_newer_protocol_the_broker_assigns() -> None:
    config = effective_config({**CONFIG, "group.protocol": "consumer"})
    assert "partition.assignment.strategy" not in config
    Consumer(config).close()


def test_the_older_name_of_the_brokers_will_do() -> None:
    config = effective_config({"metadata.broker.list": "127.0.0.1:9", "group.id": "g"})
    assert config["bootstrap.servers"] == "127.0.0.1:9"
    Consumer(config).close()


def test_a_default_gives_way_to_what_contradicts_it() -> None:
    config = effective_config({**CONFIG, "reconnect.backoff.ms": 5000})
    assert "reconnect.backoff.max.ms" not in config
    Consumer(config).close()


def _said(config: dict[str, Any]) -> str:
    with pytest.raises(KafkaException) as caught:
        Consumer({**CONFIG, **config})
    return str(refused(caught.value.args[0].str()))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            {"fetch.queue.backof.ms": 5},
            "property fetch.queue.backof.ms: did you mean fetch.queue.backoff.ms?",
        ),
        ({"sesion.timeout.ms": 5}, "did you mean session.timeout.ms?"),
        ({"zzz": 5}, "no configuration property zzz: librdkafka's CONFIGURATION.md lists"),
        (
            {"auto.offset.reset": "first"},
            'Invalid value "first" for configuration property "auto.offset.reset"',
        ),
        ({"partition.assignment.strategy": "rang"}, "does not take its configuration: Unsupported"),
        ({"session.timeout.ms": 9999999999}, "outside allowed range"),
    ],
)
def test_what_librdkafka_refuses_is_told_in_one_line(config: dict[str, Any], words: str) -> None:
    said = _said(config)
    assert words in said
    assert "\n" not in said


def _complaint(config: dict[str, Any]) -> str:
    try:
        Consumer(config).close()
    except (KafkaException, TypeError, ValueError) as error:
        return str(error)
    return ""


def test_every_name_that_may_be_suggested_exists() -> None:
    for name in _MORE_NAMES:
        assert "No such configuration property" not in _complaint({**CONFIG, name: "x"}), name


def test_secrets_are_not_shown() -> None:
    line = shown(
        {
            **CONFIG,
            "sasl.password": "hunter2",
            "ssl.key.pem": "hunter2",
            "ssl.key.password": "hunter2",
            "sasl.oauthbearer.client.secret": "hunter2",
            "sasl.oauthbearer.config": "token=hunter2",
            "sasl.jaas.config": "hunter2",
            "error_cb": print,
        }
    )
    assert "hunter2" not in line
    assert "sasl.password=***" in line
    assert "group.id=g" in line


@pytest.mark.parametrize("name", ["in_flight", "in_flight_per_partition", "commit_every", "slow"])
def test_limits_that_nothing_fits_into_are_refused(name: str) -> None:
    with pytest.raises(RotaError, match=f"Limits: {name} is 0"):
        check_limits(limits(**{name: 0}), CONFIG)


def test_a_text_that_no_commit_can_carry_is_refused() -> None:
    check_limits(Limits(metadata_bytes=32_767), {})
    with pytest.raises(RotaError, match=r"metadata_bytes is 65536; a commit can carry 32,767 at most"):
        check_limits(Limits(metadata_bytes=65_536), {})


@pytest.mark.parametrize("name", ["commit_interval", "commit_spacing", "metadata_bytes", "shutdown_drain"])
def test_negative_limits_are_refused(name: str) -> None:
    with pytest.raises(RotaError, match=f"Limits: {name} is -1"):
        check_limits(limits(**{name: -1}), CONFIG)
    check_limits(limits(**{name: 0}), CONFIG)


@pytest.mark.parametrize(
    ("name", "value"), [("slow", "100"), ("in_flight", 1.5), ("commit_every", True), ("note", 7)]
)
def test_limits_of_another_kind_are_refused(name: str, value: object) -> None:
    with pytest.raises(RotaError, match=f"Limits: {name} is {value!r}; it must be "):
        check_limits(limits(**{name: value}), CONFIG)


def test_a_note_that_no_broker_takes_is_refused() -> None:
    check_limits(Limits(note="n" * 4095), CONFIG)
    with pytest.raises(RotaError, match="Limits: note has more than 4095 bytes"):
        check_limits(Limits(note="ü" * 2048), CONFIG)


def test_the_drain_leaves_the_group_half_of_its_patience() -> None:
    check_limits(Limits(revoke_drain=150_000), CONFIG)
    with pytest.raises(RotaError, match=r"revoke_drain is 150001 ms, more than half of .* \(300000\)"):
        check_limits(Limits(revoke_drain=150_001), CONFIG)
    with pytest.raises(RotaError, match=r"max\.poll\.interval\.ms is 'soon'"):
        check_limits(Limits(), {**CONFIG, "max.poll.interval.ms": "soon"})


def test_a_static_id_is_the_hosts_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "billing 0.local")
    assert static_id() == "billing-0.local"
    assert static_id("eu-") == "eu-billing-0.local"


@pytest.mark.parametrize(
    ("config", "beats_ms"),
    [
        ({}, 1000),
        ({"session.timeout.ms": 1500}, 500),
        ({"session.timeout.ms": "60000"}, 1000),
        ({"heartbeat.interval.ms": 4000}, 4000),
        ({"group.protocol": "consumer"}, None),
    ],
)
def test_heartbeats_are_sent_every_second_or_three_a_session(
    config: dict[str, Any], beats_ms: int | None
) -> None:
    made = effective_config({"bootstrap.servers": "b:9092", "group.id": "g", **config})
    assert made.get("heartbeat.interval.ms") == beats_ms
