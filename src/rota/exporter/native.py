"""Rota's own names, and the gauge that everybody expects: ``kafka_consumer_lag{topic,partition,consumer_group}``."""

from __future__ import annotations

from collections.abc import Sequence

from rota.exporter.style import Lines, Look, TopicLogs
from rota.exporter.text import Family, escaped, labels
from rota.monitor.view import GroupView, Level, PartitionView

__all__ = ["Native"]

LAG = Family("kafka_consumer_lag", "Records of a partition that a group has not consumed.")
LAG_SECONDS = Family(
    "rota_consumer_lag_seconds", "Now less the timestamp of the first record that is not consumed."
)
EVENT_DELAY = Family(
    "rota_consumer_event_delay_seconds",
    "The timestamp of the newest record less that of the first that is not consumed; where it is known.",
)
TIME_INFO = Family(
    "rota_consumer_lag_seconds_info",
    "1 for each partition that is behind: how its lag in seconds was found, and how good that is.",
)
COMMITTED = Family("rota_consumer_committed_offset", "The offset that a group has committed.")
LOST = Family(
    "rota_consumer_lost_records",
    "Records that were deleted before the group read them; only where there are any.",
)
BLOCKED = Family(
    "rota_consumer_blocked_records",
    "Records behind an open transaction, out of reach of readers of committed ones; only where there are any.",
)
BEYOND = Family(
    "rota_consumer_commit_beyond_end",
    "How far a commit is beyond the end of its log: the topic was cut or made anew; only where one is.",
)
OWNER = Family("rota_consumer_owner_info", "1 for each partition: the member that holds it.")
GROUP = Family("rota_group_info", "1 for each group: its type, state, assignor and coordinator.")
GROUP_LAG = Family(
    "rota_group_lag", "Records that a group has not consumed, of all partitions with a commit."
)
GROUP_SECONDS = Family("rota_group_lag_seconds", "The lag in seconds of the group's latest partition.")
GROUP_LEVEL = Family(
    "rota_group_level", "1 for the level of the group's lag, judged over the window; 0 for the other levels."
)
GROUP_MEMBERS = Family("rota_group_members", "Members of a group.")
GROUP_IDLE = Family("rota_group_idle_members", "Members without any partition.")
GROUP_PARTITIONS = Family("rota_group_partitions", "Partitions that a group has committed in, or holds.")
GROUP_UNCOMMITTED = Family(
    "rota_group_uncommitted_partitions", "Partitions without a commit; they are in no lag."
)
GROUP_UNKNOWN = Family(
    "rota_group_unknown_partitions", "Partitions whose end nobody could say; they are in no lag."
)
GROUP_PRODUCED = Family(
    "rota_group_produced_records_per_second", "What comes into a group's partitions, over the window."
)
GROUP_CONSUMED = Family("rota_group_consumed_records_per_second", "What a group commits, over the window.")
GROUP_ETA = Family(
    "rota_group_eta_seconds", "When the lag will be gone; only while it falls, and 0 without one."
)
GROUP_REBALANCING = Family("rota_group_rebalancing", "1 while a group's partitions change hands.")
END = Family("rota_partition_end_offset", "The offset of the next record (high watermark).")
START = Family("rota_partition_start_offset", "The first offset that is kept.")
UP = Family("rota_up", "1 if the last look at the cluster found everything.")
LOOKS = Family("rota_looks_total", "Looks at the cluster.", "counter")
FAILURES = Family("rota_look_failures_total", "Looks that found nothing, or not everything.", "counter")
TOOK = Family("rota_look_duration_seconds", "How long the last look's questions took.")
SEEN = Family("rota_look_timestamp_seconds", "When the last look ended that found anything.")


class Native:
    """See `docs/exporter.md` for what each is good for."""

    families: Sequence[Family] = (
        *(LAG, LAG_SECONDS, EVENT_DELAY, TIME_INFO, COMMITTED, LOST, BLOCKED, BEYOND, OWNER),
        *(GROUP, GROUP_LAG, GROUP_SECONDS, GROUP_LEVEL, GROUP_MEMBERS, GROUP_IDLE, GROUP_PARTITIONS),
        *(GROUP_UNCOMMITTED, GROUP_UNKNOWN, GROUP_PRODUCED, GROUP_CONSUMED, GROUP_ETA, GROUP_REBALANCING),
        *(END, START, UP, LOOKS, FAILURES, TOOK, SEEN),
    )

    def group(self, view: GroupView, lines: Lines) -> None:
        group = escaped(view.facts.group)
        for part in view.partitions:
            topic, number = part.partition
            self._partition(part, f'topic="{topic}",partition="{number}",consumer_group="{group}"', lines)
        self._group(view, f'consumer_group="{group}"', lines)

    def _partition(self, part: PartitionView, where: str, lines: Lines) -> None:
        lines.add(LAG, where, part.lag)
        lines.add(LAG_SECONDS, where, part.time.seconds)
        if part.commit is not None:
            lines.add(COMMITTED, where, part.commit.offset)
        if part.lag:
            lines.add(EVENT_DELAY, where, part.time.event_delay_s)
            how = f'{where},method="{part.time.method}",quality="{part.time.quality}"'
            lines.add(TIME_INFO, how, 1)
        lines.add(LOST, where, part.lost or None)
        lines.add(BLOCKED, where, part.blocked_by_transaction or None)
        lines.add(BEYOND, where, part.beyond_end or None)
        if part.member is not None:
            who = labels(
                client_id=part.member.client_id,
                host=part.member.host,
                instance_id=part.member.instance_id or "",
            )
            lines.add(OWNER, f"{where},{who}", 1)

    def _group(self, view: GroupView, where: str, lines: Lines) -> None:
        facts, totals = view.facts, view.totals
        what = labels(
            type=facts.type,
            state=facts.state,
            assignor=facts.assignor,
            coordinator="" if facts.coordinator is None else str(facts.coordinator.id),
        )
        lines.add(GROUP, f"{where},{what}", 1)
        lines.add(GROUP_LAG, where, totals.lag)
        lines.add(GROUP_SECONDS, where, totals.time.seconds)
        for level in Level:
            lines.add(GROUP_LEVEL, f'{where},level="{level}"', int(totals.rates.level is level))
        lines.add(GROUP_MEMBERS, where, len(facts.members))
        lines.add(GROUP_IDLE, where, sum(not member.assignment for member in facts.members))
        lines.add(GROUP_PARTITIONS, where, totals.partitions)
        lines.add(GROUP_UNCOMMITTED, where, totals.uncommitted)
        lines.add(GROUP_UNKNOWN, where, totals.unknown)
        lines.add(GROUP_PRODUCED, where, totals.rates.produced_per_s)
        lines.add(GROUP_CONSUMED, where, totals.rates.consumed_per_s)
        lines.add(GROUP_ETA, where, totals.rates.eta_s)
        lines.add(GROUP_REBALANCING, where, int(facts.is_rebalancing))

    def topic(self, topic: TopicLogs, lines: Lines) -> None:
        for number, log in topic.logs.items():
            where = f'topic="{topic.name}",partition="{number}"'
            lines.add(END, where, log.end)
            lines.add(START, where, log.start)

    def look(self, look: Look, lines: Lines) -> None:
        lines.add(UP, "", int(look.is_well))
        lines.add(LOOKS, "", look.looks)
        lines.add(FAILURES, "", look.failures)
        lines.add(TOOK, "", look.took_s)
        lines.add(SEEN, "", look.seen_at_s or None)
