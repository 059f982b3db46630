"""The names of danielqsj's kafka_exporter, for dashboards that were made for it.

Where that one says -1 (a partition without a commit), there is no sample here: sums and alerts are spared it.
"""

from __future__ import annotations

from collections.abc import Sequence

from rota.exporter.style import Lines, Look, TopicLogs, committed_by_topic
from rota.exporter.text import Family, escaped
from rota.monitor.view import GroupView

__all__ = ["KafkaExporter"]

CURRENT = Family("kafka_consumergroup_current_offset", "Current offset of a group at a topic and partition")
CURRENT_SUM = Family(
    "kafka_consumergroup_current_offset_sum", "Current offsets of a group, all partitions of a topic"
)
LAG = Family("kafka_consumergroup_lag", "Records that a group is behind at a topic and partition")
LAG_SUM = Family("kafka_consumergroup_lag_sum", "Records that a group is behind, all partitions of a topic")
MEMBERS = Family("kafka_consumergroup_members", "Members of a group")
PARTITIONS = Family("kafka_topic_partitions", "Partitions of a topic")
END = Family("kafka_topic_partition_current_offset", "End of the log of a topic and partition")
START = Family("kafka_topic_partition_oldest_offset", "Start of the log of a topic and partition")
LEADER = Family("kafka_topic_partition_leader", "Id of the broker that leads a topic and partition")
REPLICAS = Family("kafka_topic_partition_replicas", "Replicas of a topic and partition")
IN_SYNC = Family("kafka_topic_partition_in_sync_replica", "Replicas in sync of a topic and partition")
PREFERRED = Family(
    "kafka_topic_partition_leader_is_preferred", "1 if the first replica leads a topic and partition"
)
UNDER = Family(
    "kafka_topic_partition_under_replicated_partition", "1 if replicas of a topic and partition lag behind"
)


class KafkaExporter:
    """Of topics that no group reads nothing is told."""

    families: Sequence[Family] = (
        *(CURRENT, CURRENT_SUM, LAG, LAG_SUM, MEMBERS),
        *(PARTITIONS, END, START, LEADER, REPLICAS, IN_SYNC, PREFERRED, UNDER),
    )

    def group(self, view: GroupView, lines: Lines) -> None:
        group = escaped(view.facts.group)
        for part in view.partitions:
            topic, number = part.partition
            where = f'consumergroup="{group}",partition="{number}",topic="{topic}"'
            lines.add(CURRENT, where, None if part.commit is None else part.commit.offset)
            lines.add(LAG, where, part.lag)
        for topic, total in committed_by_topic(view).items():
            lines.add(CURRENT_SUM, f'consumergroup="{group}",topic="{topic}"', total)
        for topic, totals in view.topics.items():
            lines.add(LAG_SUM, f'consumergroup="{group}",topic="{topic}"', totals.lag)
        lines.add(MEMBERS, f'consumergroup="{group}"', len(view.facts.members))

    def topic(self, topic: TopicLogs, lines: Lines) -> None:
        for number, log in topic.logs.items():
            where = f'partition="{number}",topic="{topic.name}"'
            lines.add(END, where, log.end)
            lines.add(START, where, log.start)
        facts = topic.facts
        if facts is None:
            return
        lines.add(PARTITIONS, f'topic="{topic.name}"', len(facts.partitions))
        for number, leader in facts.partitions.items():
            where = f'partition="{number}",topic="{topic.name}"'
            replicas, in_sync = facts.replicas.get(number, ()), facts.in_sync.get(number, ())
            lines.add(LEADER, where, -1 if leader is None else leader)
            lines.add(REPLICAS, where, len(replicas))
            lines.add(IN_SYNC, where, len(in_sync))
            lines.add(PREFERRED, where, int(replicas[:1] == (leader,)))
            lines.add(UNDER, where, int(len(in_sync) < len(replicas)))

    def look(self, look: Look, lines: Lines) -> None:
        """It says nothing of itself."""
