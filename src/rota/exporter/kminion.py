"""The names of Redpanda's KMinion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rota.exporter.style import Lines, Look, TopicLogs, committed_by_topic
from rota.exporter.text import Family, labels
from rota.monitor.view import GroupView

__all__ = ["KMinion"]

_P = "kminion_kafka_"
INFO = Family(
    f"{_P}consumer_group_info", "Consumer Group info metrics. 1 if the group is in state Stable, otherwise 0."
)
MEMBERS = Family(f"{_P}consumer_group_members", "Members of a consumer group")
EMPTY = Family(f"{_P}consumer_group_empty_members", "Members of a consumer group without a partition")
TOPIC_MEMBERS = Family(
    f"{_P}consumer_group_topic_members", "Members of a consumer group that hold partitions of a topic"
)
ASSIGNED = Family(
    f"{_P}consumer_group_topic_assigned_partitions",
    "Partitions of a topic that a consumer group's members hold",
)
OFFSET_SUM = Family(
    f"{_P}consumer_group_topic_offset_sum", "Sum of a consumer group's committed offsets of a topic"
)
LAG = Family(
    f"{_P}consumer_group_topic_partition_lag", "Records that a consumer group is behind at a partition"
)
TOPIC_LAG = Family(f"{_P}consumer_group_topic_lag", "Records that a consumer group is behind at a topic")
HIGH = Family(f"{_P}topic_partition_high_water_mark", "High watermark of a partition")
HIGH_SUM = Family(f"{_P}topic_high_water_mark_sum", "Sum of a topic's high watermarks")
LOW = Family(f"{_P}topic_partition_low_water_mark", "Low watermark of a partition")
LOW_SUM = Family(f"{_P}topic_low_water_mark_sum", "Sum of a topic's low watermarks")
UP = Family("kminion_exporter_up", "1 if the last look at the cluster found everything")


class KMinion:
    """Without its probes from end to end, and without its log directories."""

    families: Sequence[Family] = (
        *(INFO, MEMBERS, EMPTY, TOPIC_MEMBERS, ASSIGNED, OFFSET_SUM, LAG, TOPIC_LAG),
        *(HIGH, HIGH_SUM, LOW, LOW_SUM, UP),
    )

    def group(self, view: GroupView, lines: Lines) -> None:
        facts = view.facts
        group = labels(group_id=facts.group)
        what = labels(
            protocol=facts.assignor,
            protocol_type=facts.protocol_type,
            state=facts.state,
            coordinator_id="" if facts.coordinator is None else str(facts.coordinator.id),
        )
        lines.add(INFO, f"{group},{what}", int(facts.state == "Stable"))
        lines.add(MEMBERS, group, len(facts.members))
        lines.add(EMPTY, group, sum(not member.assignment for member in facts.members))
        for part in view.partitions:
            topic, number = part.partition
            lines.add(LAG, f'{group},topic_name="{topic}",partition_id="{number}"', part.lag)
        committed = committed_by_topic(view)
        held: dict[str, list[int]] = {}
        for member in facts.members:
            topics = [part.topic for part in member.assignment]
            for topic in set(topics):
                held.setdefault(topic, []).append(topics.count(topic))
        for topic, totals in view.topics.items():
            where = f'{group},topic_name="{topic}"'
            lines.add(TOPIC_MEMBERS, where, len(held.get(topic, ())))
            lines.add(ASSIGNED, where, sum(held.get(topic, ())))
            lines.add(OFFSET_SUM, where, committed.get(topic))
            lines.add(TOPIC_LAG, where, totals.lag)

    def topic(self, topic: TopicLogs, lines: Lines) -> None:
        name = f'topic_name="{topic.name}"'
        for number, log in topic.logs.items():
            where = f'{name},partition_id="{number}"'
            lines.add(HIGH, where, log.end)
            lines.add(LOW, where, log.start)
        lines.add(HIGH_SUM, name, _sum(log.end for log in topic.logs.values()))
        lines.add(LOW_SUM, name, _sum(log.start for log in topic.logs.values()))

    def look(self, look: Look, lines: Lines) -> None:
        lines.add(UP, "", int(look.is_well))


def _sum(offsets: Iterable[int | None]) -> int | None:
    """None if one is not known: a sum without it would seem to fall, which a rate takes for a new start."""
    known = list(offsets)
    return None if None in known else sum(each for each in known if each is not None)
