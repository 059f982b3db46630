"""``rota topics``: create, list, describe, delete, add partitions; described as ``kafka-topics`` does."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click

from rota.cli.key_values import key_values
from rota.cli.lazy import LazyGroup
from rota.cli.options import MOST_PARTITIONS, MOST_REPLICAS, cluster_options, json_option
from rota.cli.output import count_of, emit, emit_json, table
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.cluster import Cluster, TopicDescription

__all__ = ["topics"]

INTERNAL = ("__consumer_offsets", "__transaction_state", "__share_group_state")


@click.group(
    cls=LazyGroup,
    lazy={
        "create": ("rota.cli.topics:create", "Create a topic."),
        "list": ("rota.cli.topics:list_topics", "List the topics."),
        "describe": ("rota.cli.topics:describe", "Show partitions, leaders, replicas and settings."),
        "delete": ("rota.cli.topics:delete", "Delete topics and all their records."),
        "add-partitions": ("rota.cli.topics:add_partitions", "Raise a topic's number of partitions."),
    },
)
def topics() -> None:
    """Create, list, describe and delete topics."""


@click.command()
@click.argument("topic")
@click.option(
    "--partitions",
    "-p",
    metavar="N",
    type=click.IntRange(1, MOST_PARTITIONS),
    help="How many partitions (default: the broker's num.partitions).",
)
@click.option(
    "--replication-factor",
    "-r",
    metavar="N",
    type=click.IntRange(1, MOST_REPLICAS),
    help="Copies of each partition (default: the broker's default.replication.factor).",
)
@click.option("--config", "configs", multiple=True, metavar="K=V", help="A topic setting; may be repeated.")
@click.option("--if-not-exists", is_flag=True, help="A topic that is there already is no error.")
@json_option()
@cluster_options
def create(
    topic: str,
    partitions: int | None,
    replication_factor: int | None,
    configs: Sequence[str],
    if_not_exists: bool,
    as_json: bool,
    cluster: Cluster,
) -> None:
    """Create TOPIC.

    \b
    Examples:
      rota topics create new_users --partitions 5
      rota topics create team_stats -p 5 --config cleanup.policy=compact
      rota topics create actions --config retention.ms=3600000 --if-not-exists
    """
    created = cluster.create_topic(
        topic,
        partitions=partitions or -1,
        replication_factor=replication_factor or -1,
        configs=key_values(configs, "--config"),
        if_not_exists=if_not_exists,
    )
    if as_json:
        emit_json({"topic": topic, "created": created})
    else:
        emit(f"Created topic {topic}." if created else f"Topic {topic} was there already; nothing changed.")


@click.command("list")
@click.option(
    "--exclude-internal", is_flag=True, help="Leave out Kafka's own topics (__consumer_offsets, …)."
)
@click.option("--partitions", "with_counts", is_flag=True, help="Show how many partitions each topic has.")
@json_option()
@cluster_options
def list_topics(exclude_internal: bool, with_counts: bool, as_json: bool, cluster: Cluster) -> None:
    """List the topics, one name a line.

    \b
    Examples:
      rota topics list
      rota topics list --partitions --exclude-internal
    """
    found = {
        name: partitions
        for name, partitions in cluster.topics().items()
        if not (exclude_internal and name in INTERNAL)
    }
    if as_json:
        emit_json([{"topic": name, "partitions": partitions} for name, partitions in found.items()])
    elif with_counts:
        for line in table(("TOPIC", "PARTITIONS"), found.items(), right=["PARTITIONS"]):
            emit(line)
    else:
        for name in found:
            emit(name)


@click.command()
@click.argument("names", nargs=-1, metavar="[TOPIC]...")
@click.option(
    "--exclude-internal", is_flag=True, help="Leave out Kafka's own topics (__consumer_offsets, …)."
)
@json_option()
@cluster_options
def describe(names: Sequence[str], exclude_internal: bool, as_json: bool, cluster: Cluster) -> int:
    """Describe each TOPIC, or all of them, in the layout of `kafka-topics --describe`.

    Elr and LastKnownElr are always empty, because librdkafka cannot ask for them.

    \b
    Examples:
      rota topics describe web-events-partitioned
      rota topics describe --exclude-internal --json
    """
    wanted = names or [n for n in cluster.topics() if not (exclude_internal and n in INTERNAL)]
    described = cluster.describe_topics(wanted)
    good = [answer for answer in described.values() if not isinstance(answer, RotaError)]
    if as_json:
        emit_json([_as_json(topic) for topic in good])
    else:
        for topic in good:
            for line in describe_lines(topic):
                emit(line)
    for answer in described.values():
        if isinstance(answer, RotaError):
            raise answer
    return 0


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="TOPIC...")
@click.option("--if-exists", is_flag=True, help="A topic that is not there is no error.")
@json_option()
@cluster_options
def delete(names: Sequence[str], if_exists: bool, as_json: bool, cluster: Cluster) -> int:
    """Delete each TOPIC with all its records.

    \b
    Examples:
      rota topics delete web-events-partitioned
      rota topics delete actions team_stats --if-exists
    """
    if if_exists:
        there = cluster.topics()
        absent = [name for name in names if name not in there]
    else:
        absent = []
    failures = cluster.delete_topics([name for name in names if name not in absent])
    gone = [name for name, failure in failures.items() if failure is None]
    if as_json:
        emit_json({"deleted": gone, "absent": absent})
    else:
        for name in gone:
            emit(f"Deleted topic {name}.")
        for name in absent:
            emit(f"Topic {name} was not there; nothing changed.")
    for failure in failures.values():
        if failure is not None:
            raise failure
    return 0


@click.command("add-partitions")
@click.argument("topic")
@click.option(
    "--to",
    "total",
    type=click.IntRange(1, MOST_PARTITIONS),
    required=True,
    help="How many partitions there shall be in all.",
)
@json_option()
@cluster_options
def add_partitions(topic: str, total: int, as_json: bool, cluster: Cluster) -> None:
    """Raise TOPIC's number of partitions.

    Keys are spread over more partitions from then on, so a key's later records may land on another partition
    than its earlier ones. Partitions can never be taken away again. Groups that read the topic rebalance.

    \b
    Example:
      rota topics add-partitions web-events-partitioned --to 6
    """
    before = cluster.partition_counts([topic])[topic]
    cluster.add_partitions(topic, total)
    if as_json:
        emit_json({"topic": topic, "before": before, "partitions": total})
    else:
        emit(f"Topic {topic} has {count_of(total, 'partition')} now (before: {before}).")


def describe_lines(topic: TopicDescription) -> list[str]:
    """One topic as ``kafka-topics --describe`` prints it: tabs between, one line a partition."""
    first = topic.partitions[0] if topic.partitions else None
    chosen = ",".join(f"{config.name}={config.value}" for config in topic.configs if not config.is_default)
    head = (
        f"Topic: {topic.name}",
        f"TopicId: {topic.topic_id}",
        f"PartitionCount: {len(topic.partitions)}",
        f"ReplicationFactor: {len(first.replicas) if first else 0}",
        f"Configs: {chosen}",
    )
    rows = [
        (
            "",
            f"Topic: {topic.name}",
            f"Partition: {part.partition}",
            f"Leader: {'none' if part.leader is None else part.leader}",
            f"Replicas: {_ids(part.replicas)}",
            f"Isr: {_ids(part.isr)}",
            "Elr: ",
            "LastKnownElr: ",
        )
        for part in topic.partitions
    ]
    return ["\t".join(cells) for cells in (head, *rows)]


def _ids(ids: Sequence[int]) -> str:
    return ",".join(map(str, ids))


def _as_json(topic: TopicDescription) -> dict[str, object]:
    return {
        "topic": topic.name,
        "topicId": topic.topic_id,
        "internal": topic.is_internal,
        "partitions": [dataclasses.asdict(part) for part in topic.partitions],
        "configs": {config.name: config.value for config in topic.configs if not config.is_default},
    }
