"""Scenarios with the tools that ask about the cluster, its node and its transactions, for `test_tools`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.conformance.shell import Shell

__all__ = ["SCENARIOS"]


def the_cluster_is_described(sh: Shell) -> None:
    sh("kafka-cluster cluster-id")
    sh("kafka-cluster list-endpoints")
    sh("kafka-cluster list-endpoints --include-fenced-brokers")
    sh("kafka-features describe")
    # It has no log of metadata; the controller of Kafka listens elsewhere, on a port of its own.
    sh("kafka-metadata-quorum describe --status", hide=r"HighWatermark: +\d+|CONTROLLER://[^\"]*")
    sh("kafka-metadata-quorum describe --replication", hide=r"\d+[ \t]+0[ \t]+(<time>|\d+)[ \t]+(<time>|\d+)")


def versions_are_told(sh: Shell) -> None:
    sh("kafka-broker-api-versions")


def features_are_changed(sh: Shell) -> None:
    sh("kafka-features upgrade --feature transaction.version=2")
    sh("kafka-features downgrade --feature transaction.version=1 --dry-run")
    sh("kafka-features downgrade --feature transaction.version=1")
    sh("kafka-features describe", anyhow=True)
    sh("kafka-features upgrade --feature transaction.version=2")
    why = r"(?<=to \d\. ).*"
    sh("kafka-features upgrade --feature transaction.version=3", code=1, hide=why)
    sh("kafka-features upgrade --feature nonsense=1", code=1, hide=why)
    sh("kafka-features version-mapping --release-version 4.1")


def leaders_are_elected(sh: Shell) -> None:
    sh("kafka-topics --create --topic {name} --partitions 2")
    sh.desk.wait_topic(sh.name, 2)
    for kind in ("preferred", "unclean"):
        elect = f"kafka-leader-election --election-type {kind} "
        sh(elect + "--topic {name} --partition 0")
        sh(elect + "--topic {name} --partition 7", code=1)
        sh(elect + "--topic {name}-nothing --partition 0", code=1)
        sh(elect + "--all-topic-partitions")
        with tempfile.TemporaryDirectory() as directory:
            plan = Path(directory, "plan.json")
            plan.write_text(json.dumps({"partitions": [{"topic": sh.name, "partition": n} for n in (0, 1)]}))
            sh(elect + f"--path-to-json-file {plan}", hide=directory)


def directories_are_described(sh: Shell) -> None:
    sh("kafka-topics --create --topic {name} --partitions 2")
    sh.desk.wait_topic(sh.name, 2)
    sh.produce_at(sh.name, [1_700_000_000_000])
    place = r'"logDir":"[^"]*"'
    order = rf'\{{"partition":"{sh.name}-[01]"[^}}]*\}},?'
    sh("kafka-log-dirs --describe --topic-list {name}", hide=f"{place}|{order}")
    sh("kafka-log-dirs --describe --topic-list {name}-nothing --broker-list 1", hide=place)
    sh("kafka-log-dirs --describe --topic-list {name} --broker-list 1,7", code=1)


def partitions_are_reassigned(sh: Shell) -> None:
    sh("kafka-topics --create --topic {name}")
    sh.desk.wait_topic(sh.name, 1)
    with tempfile.TemporaryDirectory() as directory:
        topics, plan = Path(directory, "topics.json"), Path(directory, "plan.json")
        topics.write_text(json.dumps({"topics": [{"topic": sh.name}], "version": 1}))
        place = {"topic": sh.name, "partition": 0, "replicas": [1]}
        plan.write_text(json.dumps({"version": 1, "partitions": [place]}))
        tool = "kafka-reassign-partitions "
        sh(tool + f"--generate --broker-list 1 --topics-to-move-json-file {topics}", hide=directory)
        sh(tool + f"--execute --reassignment-json-file {plan}", hide=directory)
        sh(tool + f"--verify --reassignment-json-file {plan}", hide=directory)
        sh(tool + "--list")
        sh(tool + f"--cancel --reassignment-json-file {plan}", hide=directory)
        place["replicas"] = [1, 2]
        plan.write_text(json.dumps({"version": 1, "partitions": [place]}))
        sh(tool + f"--execute --reassignment-json-file {plan}", hide=directory, code=1)


def transactions_are_told(sh: Shell) -> None:
    sh("kafka-topics --create --topic {name}")
    sh.desk.wait_topic(sh.name, 1)
    sh.transaction(sh.name)
    ask = "kafka-transactions "
    ids = r"(?m)(?:^|(?<=\t))\d+(?=\s*\t)"
    sh(ask + "list", only=sh.name, hide=ids)
    sh(ask + "list --duration-filter 1000000", only=sh.name, hide=ids)
    sh(ask + "list --transactional-id-pattern {name}.*", only=sh.name, hide=ids)
    sh(ask + "describe --transactional-id {name}", only=sh.name, hide=ids)
    sh(ask + "describe --transactional-id {name}-nothing", code=1)
    sh(ask + "describe-producers --topic {name} --partition 0", hide=ids)
    sh(ask + "find-hanging --broker-id 1", only=sh.name)
    sh(ask + "find-hanging --topic {name}")
    sh(ask + "forceTerminateTransaction --transactionalId {name}")
    sh(ask + "describe --transactional-id {name}", only=sh.name, hide=ids)
    sh(ask + "abort --topic {name} --partition 0 --start-offset 99", code=1)


def what_has_no_authorizer(sh: Shell) -> None:
    sh("kafka-acls --list", code=1)
    sh("kafka-acls --add --allow-principal User:a --operation Read --topic {name}", code=1)
    sh("kafka-acls --remove --force --allow-principal User:a --operation Read --topic {name}", code=1)


SCENARIOS: tuple[Callable[[Shell], None], ...] = (
    the_cluster_is_described,
    versions_are_told,
    features_are_changed,
    leaders_are_elected,
    directories_are_described,
    partitions_are_reassigned,
    transactions_are_told,
    what_has_no_authorizer,
)
