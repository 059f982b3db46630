"""Scenarios with kafka-topics, for `test_tools`."""

from __future__ import annotations

from collections.abc import Callable

from tests.conformance.shell import Shell

__all__ = ["SCENARIOS"]


def topics_are_created(sh: Shell) -> None:
    sh("kafka-topics --create --topic {name}")
    sh(
        "kafka-topics --create --topic {name}-3 --partitions 3 --replication-factor 1 --config retention.ms=1000"
    )
    sh("kafka-topics --create --topic {name}-placed --replica-assignment 1,1")
    sh(
        "kafka-topics --create --topic {name}-configs --config cleanup.policy=compact --config segment.bytes=2000000"
    )
    sh("kafka-topics --create --topic {name} --if-not-exists")
    sh("kafka-topics --create --topic {name}", code=1)
    sh("kafka-topics --create --topic {name}.dotted")
    sh("kafka-topics --create --topic {name}_dotted", code=1)
    sh("kafka-topics --create --topic {name}.x")
    sh("kafka-topics --create --topic {name}_x", code=1)
    sh("kafka-topics --create --topic {name}-two --replication-factor 2", code=1)
    sh("kafka-topics --create --topic {name}-none --partitions 0", code=1)
    sh("kafka-topics --create --topic bad/name", code=1)
    sh("kafka-topics --create --topic {name}-bad --config retention.ms=soon", code=1)
    sh("kafka-topics --create --topic {name}-bad --config nonsense=1", code=1)
    sh("kafka-topics --create --topic {name}-bad --replica-assignment 1:2", code=1)
    sh("kafka-topics --describe --topic {name}.*", anyhow=True)


def topics_are_listed(sh: Shell) -> None:
    for suffix in ("a", "b", "c"):
        sh("kafka-topics --create --topic {name}-" + suffix)
    sh("kafka-topics --list --topic {name}-[ab]")
    sh("kafka-topics --list --topic {name}-nothing")
    sh("kafka-topics --list --topic {name}.* --exclude-internal")
    sh("kafka-topics --list --topic {name}-a,{name}-c")


def topics_are_described(sh: Shell) -> None:
    sh("kafka-topics --create --topic {name} --partitions 2")
    sh("kafka-topics --create --topic {name}-set --config retention.ms=1000 --config max.message.bytes=2000")
    sh("kafka-topics --describe --topic {name}")
    sh("kafka-topics --describe --topic {name}.*", anyhow=True)
    sh("kafka-topics --describe --topic {name}-nothing", code=1)
    sh("kafka-topics --describe --topic {name}-nothing --if-exists")
    for flag in (
        "--topics-with-overrides",
        "--under-replicated-partitions",
        "--unavailable-partitions",
        "--under-min-isr-partitions",
        "--at-min-isr-partitions",
        "--exclude-internal",
    ):
        sh("kafka-topics --describe --topic {name}.* " + flag, anyhow=True)
    sh("kafka-topics --describe --topic-id AAAAAAAAAAAAAAAAAAAAAg", code=1)
    sh("kafka-topics --describe --topic-id AAAAAAAAAAAAAAAAAAAAAg --if-exists")
    sh("kafka-topics --describe --topic {name}.* --partition-size-limit-per-response 1", anyhow=True)


def topics_grow(sh: Shell) -> None:
    sh("kafka-topics --create --topic {name}")
    sh("kafka-topics --alter --topic {name} --partitions 3")
    sh("kafka-topics --describe --topic {name}")
    sh("kafka-topics --alter --topic {name} --partitions 3", code=1)
    sh("kafka-topics --alter --topic {name} --partitions 2", code=1)
    sh("kafka-topics --alter --topic {name} --partitions 5 --replica-assignment 1,1,1,1,1")
    sh("kafka-topics --describe --topic {name}")
    sh("kafka-topics --alter --topic {name}-nothing --partitions 2", code=1)
    sh("kafka-topics --alter --topic {name}-nothing --partitions 2 --if-exists")


def topics_are_deleted(sh: Shell) -> None:
    for suffix in ("a", "b", "c"):
        sh("kafka-topics --create --topic {name}-" + suffix)
    sh("kafka-topics --delete --topic {name}-a")
    sh("kafka-topics --delete --topic {name}-a", code=1)
    sh("kafka-topics --delete --topic {name}-a --if-exists")
    sh("kafka-topics --delete --topic {name}-[bc]")
    sh("kafka-topics --list --topic {name}.*")


SCENARIOS: tuple[Callable[[Shell], None], ...] = (
    topics_are_created,
    topics_are_listed,
    topics_are_described,
    topics_grow,
    topics_are_deleted,
)
