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
    sh(group + "--alter --delete-config consumer.heartbeat.interval.ms")
    sh("kafka-configs --describe --entity-type groups", only=sh.name)


def client_metrics(sh: Shell) -> None:
    sh("kafka-client-metrics --list", only=sh.name)
    sh("kafka-configs --describe --entity-type client-metrics --entity-name {name}")
    change = "kafka-client-metrics --alter --name {name} "
    sh(change + "--metrics org.apache.kafka.consumer. --interval 1000 --match client_id=.*")
    sh("kafka-client-metrics --describe --name {name}")
    sh("kafka-client-metrics --list", only=sh.name)
    sh("kafka-configs --describe --entity-type client-metrics --entity-name {name}")
    sh(change + "--interval 1", code=1, hide=r"(?<=command : ).*")
    sh(change + "--match nonsense=.*", code=1, hide=r"(?<=command : ).*")
    sh("kafka-client-metrics --delete --name {name}")
    sh("kafka-client-metrics --list", only=sh.name)


def levels_of_loggers(sh: Shell) -> None:
    loggers = "kafka-configs --entity-type broker-loggers --entity-name 1 "
    sh(loggers + "--describe", only="root=")
    sh(loggers + "--alter --add-config root=WARN")
    sh(loggers + "--describe", only="root=")
    sh(loggers + "--alter --add-config root=INFO")
    sh(loggers + "--alter --add-config root=nonsense", code=1)
    sh(loggers + "--alter --delete-config root", code=1)
    sh(loggers + "--alter --add-config nonsense=INFO", code=1)


def quotas(sh: Shell) -> None:
    tool = "kafka-configs "
    user = "--entity-type users --entity-name {name} "
    sh(tool + user + "--alter --add-config producer_byte_rate=100000,request_percentage=50")
    sh(
        tool
        + user
        + "--entity-type clients --entity-name {name} --alter --add-config consumer_byte_rate=100000"
    )
    sh(tool + "--describe " + user, anyhow=True)
    sh(tool + "--describe --user {name}", anyhow=True)
    sh(tool + "--describe --client {name}")
    sh(tool + "--describe --entity-type users", only=sh.name)
    sh(tool + user + "--alter --delete-config producer_byte_rate,request_percentage")
    sh(tool + user + "--alter --delete-config producer_byte_rate", code=1)
    sh(tool + user + "--alter --add-config producer_byte_rate=0", code=1)
    sh(tool + user + "--alter --add-config nonsense=1", code=1)
    sh(tool + user + "--entity-type clients --entity-name {name} --alter --delete-config consumer_byte_rate")
    sh(tool + "--entity-type ips --entity-name 127.0.0.9 --alter --add-config connection_creation_rate=50")
    sh(tool + "--describe --entity-type ips")
    sh(tool + "--entity-type ips --entity-name 127.0.0.9 --alter --delete-config connection_creation_rate")


def users_with_passwords(sh: Shell) -> None:
    user = "kafka-configs --entity-type users --entity-name {name} "
    sh(user + "--alter --add-config SCRAM-SHA-256=[iterations=8192,password=secret]")
    sh(user + "--describe")
    sh(user + "--alter --delete-config SCRAM-SHA-512", code=1)
    sh(user + "--alter --delete-config SCRAM-SHA-256")
    sh(user + "--describe")


SCENARIOS: tuple[Callable[[Shell], None], ...] = (
    configs_of_topics,
    configs_of_brokers,
    configs_of_groups,
    client_metrics,
    levels_of_loggers,
    quotas,
    users_with_passwords,
)
