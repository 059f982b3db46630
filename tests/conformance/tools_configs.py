"""Scenarios with kafka-configs and kafka-client-metrics, for `test_tools`."""

from __future__ import annotations

from collections.abc import Callable

from tests.conformance.shell import Shell

__all__ = ["SCENARIOS"]


def configs_of_topics(sh: Shell) -> None:
    sh("kafka-topics --create --topic {name} --config segment.bytes=2000000")
    topic = "kafka-configs --entity-type topics --entity-name {name} "
    sh(topic + "--describe")
    sh(topic + "--alter --add-config retention.ms=60000,cleanup.policy=[compact,delete]")
    sh(topic + "--describe")
    sh("kafka-configs --describe --topic {name}")
    sh("kafka-configs --alter --topic {name} --add-config max.message.bytes=3000")
    sh(topic + "--describe --all", anyhow=True)
    sh(topic + "--alter --delete-config retention.ms")
    sh(topic + "--describe")
    sh(topic + "--alter --delete-config retention.ms", code=1)
    sh(topic + "--alter --add-config retention.ms=soon", code=1)
    sh(topic + "--alter --add-config nonsense=1", code=1)
    sh(topic + "--alter --delete-config cleanup.policy,segment.bytes --add-config retention.bytes=7")
    sh(topic + "--describe")
    sh("kafka-configs --describe --topic {name}-nothing")
    sh("kafka-configs --alter --topic {name}-nothing --add-config retention.ms=1", code=1)
    sh("kafka-configs --describe --entity-type topics", only=sh.name)


def configs_of_brokers(sh: Shell) -> None:
    broker, default = (
        f"kafka-configs --entity-type brokers {which} " for which in ("--entity-name 1", "--entity-default")
    )
    sh(broker + "--describe")
    sh(default + "--describe")
    sh(broker + "--alter --add-config log.cleaner.threads=2")
    sh(default + "--alter --add-config log.cleaner.threads=2,message.max.bytes=2000000")
    sh(broker + "--describe")
    sh(default + "--describe", anyhow=True)
    sh("kafka-configs --describe --entity-type brokers", anyhow=True)
    sh("kafka-configs --describe --broker 1")
    sh("kafka-configs --describe --broker-defaults", anyhow=True)
    sh("kafka-topics --create --topic {name}")
    sh("kafka-configs --describe --topic {name} --all", anyhow=True)
    sh(broker + "--alter --delete-config log.cleaner.threads")
    sh(default + "--alter --delete-config log.cleaner.threads,message.max.bytes")
    sh(default + "--alter --delete-config log.cleaner.threads", code=1)
    sh(broker + "--describe")
    sh(default + "--describe")
    sh(broker + "--alter --add-config node.id=2", code=1)
    sh(default + "--alter --add-config log.cleaner.threads=none", code=1)
    sh("kafka-configs --describe --entity-type brokers --entity-name 7")


def configs_of_groups(sh: Shell) -> None:
    group = "kafka-configs --entity-type groups --entity-name {name} "
    sh(group + "--describe")
    sh(group + "--alter --add-config consumer.session.timeout.ms=50000,consumer.heartbeat.interval.ms=6000")
    sh(group + "--describe", anyhow=True)
    sh("kafka-configs --describe --group {name} --all", anyhow=True)
    sh("kafka-configs --describe --entity-type groups", only=sh.name)
    sh(group + "--alter --delete-config consumer.session.timeout.ms")
    sh(group + "--describe")
    sh(group + "--alter --add-config consumer.session.timeout.ms=1", code=1)
    sh(group + "--alter --add-config nonsense=1", code=1)
    # That a group which once had configs is described for ever is not asked.
    sh(group + "--alter --delete-config consumer.heartbeat.interval.ms")


def client_metrics(sh: Shell) -> None:
    sh("kafka-client-metrics --list")
    sh("kafka-client-metrics --describe")
    sh("kafka-configs --describe --entity-type client-metrics")
    sh("kafka-configs --describe --entity-type client-metrics --entity-name {name}")


SCENARIOS: tuple[Callable[[Shell], None], ...] = (
    configs_of_topics,
    configs_of_brokers,
    configs_of_groups,
    client_metrics,
)
