"""The names of seglo's kafka-lag-exporter, which was the first to tell a lag in seconds.

Where that one says NaN there is no sample here.
"""

from __future__ import annotations

from collections.abc import Sequence

from rota.exporter.style import Lines, Look, TopicLogs
from rota.exporter.text import Family, labels
from rota.monitor.view import GroupView

__all__ = ["KafkaLagExporter"]

OFFSET = Family("kafka_consumergroup_group_offset", "Last group consumed offset of a partition")
LAG = Family("kafka_consumergroup_group_lag", "Group offset lag of a partition")
SECONDS = Family("kafka_consumergroup_group_lag_seconds", "Group time lag of a partition")
MAX_LAG = Family("kafka_consumergroup_group_max_lag", "Max group offset lag across topic partitions")
MAX_SECONDS = Family(
    "kafka_consumergroup_group_max_lag_seconds", "Max group time lag across topic partitions"
)
SUM_LAG = Family("kafka_consumergroup_group_sum_lag", "Sum of group offset lag across topic partitions")
TOPIC_LAG = Family(
    "kafka_consumergroup_group_topic_sum_lag", "Sum of group offset lag across a topic's partitions"
)
LATEST = Family("kafka_partition_latest_offset", "Latest offset of a partition")
EARLIEST = Family("kafka_partition_earliest_offset", "Earliest offset of a partition")
POLL = Family("kafka_consumergroup_poll_time_ms", "Time that the last look at groups took")


class KafkaLagExporter:
    """``cluster``: the label ``cluster_name``."""

    families: Sequence[Family] = (
        *(OFFSET, LAG, SECONDS, MAX_LAG, MAX_SECONDS, SUM_LAG, TOPIC_LAG, LATEST, EARLIEST, POLL),
    )

    def __init__(self, cluster: str) -> None:
        self._cluster = labels(cluster_name=cluster)

    def group(self, view: GroupView, lines: Lines) -> None:
        group = f"{self._cluster},{labels(group=view.facts.group)}"
        nobody = labels(member_host="", consumer_id="", client_id="")
        whose = {
            member.member_id: labels(
                member_host=member.host, consumer_id=member.member_id, client_id=member.client_id
            )
            for member in view.facts.members
        }
        for part in view.partitions:
            topic, number = part.partition
            who = nobody if part.member is None else whose[part.member.member_id]
            where = f'{group},topic="{topic}",partition="{number}",{who}'
            lines.add(OFFSET, where, None if part.commit is None else part.commit.offset)
            lines.add(LAG, where, part.lag)
            lines.add(SECONDS, where, part.time.seconds)
        known = [part.lag for part in view.partitions if part.lag is not None]
        lines.add(MAX_LAG, group, max(known, default=None))
        lines.add(MAX_SECONDS, group, view.totals.time.seconds)
        lines.add(SUM_LAG, group, view.totals.lag)
        for topic, totals in view.topics.items():
            lines.add(TOPIC_LAG, f'{group},topic="{topic}"', totals.lag)

    def topic(self, topic: TopicLogs, lines: Lines) -> None:
        for number, log in topic.logs.items():
            where = f'{self._cluster},topic="{topic.name}",partition="{number}"'
            lines.add(LATEST, where, log.end)
            lines.add(EARLIEST, where, log.start)

    def look(self, look: Look, lines: Lines) -> None:
        lines.add(POLL, self._cluster, look.took_s * 1_000)
