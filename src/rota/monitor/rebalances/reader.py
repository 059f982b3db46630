"""From the records of ``__consumer_offsets`` to the lives of groups. No I/O: whoever reads the topic feeds it."""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rota.coordinator.log_format import decode_record
from rota.model import TopicPartition
from rota.monitor.rebalances.classic import apply_group, forget_group
from rota.monitor.rebalances.ends import Ends
from rota.monitor.rebalances.gone import Gone, Versions
from rota.monitor.rebalances.live import under_way
from rota.monitor.rebalances.modern import HEARTBEAT_MS, SESSION_MS, Modern
from rota.monitor.rebalances.story import FEW_COMMITS, MOST_COMMITS, Story
from rota.monitor.rebalances.told import Told, tell
from rota.wire import WireError
from rota.wire.messages.group_log import GroupMetadataKey, OffsetCommitKey

if TYPE_CHECKING:
    from rota.monitor.facts import Commit, GroupFacts
    from rota.monitor.rebalances.broker_log import Line
    from rota.monitor.view import RebalanceView
    from rota.timeline.events import Event

__all__ = ["LogReader"]


class LogReader:
    """Takes records in, and answers what became of each group. ``groups``: only these; None: all of them.

    Times are milliseconds since 1970 by the brokers' clock. A verdict on how a member went may change with what comes
    later: what `feed` returned was the belief of that moment; `events` and `account` give today's.
    """

    def __init__(self, groups: Collection[str] | None = None) -> None:
        self._wanted = None if groups is None else frozenset(groups)
        self._stories: dict[str, Story] = {}
        self._modern: dict[str, Modern] = {}
        self._topics: dict[bytes, str] = {}
        self._timeouts = {"": (SESSION_MS, HEARTBEAT_MS)}
        self._ends = Ends()
        self._gone = Gone()
        self._versions = Versions()
        self.unknown_topics: set[bytes] = set()
        """Ids of topics that came up and that nobody has named, see `learn_topics`."""
        self.records: dict[int, int] = {}
        """How many records were taken in, by partition of the topic."""
        self.unreadable = 0
        """How many records were not what they should be."""

    # Taking in

    def feed(self, partition: int, key: bytes | None, value: bytes | None, timestamp: int) -> list[Event]:
        """One record of the topic's ``partition``; what it tells."""
        self.records[partition] = self.records.get(partition, 0) + 1
        if key is None:
            return []
        try:
            record = decode_record(key, value)
        except WireError:
            self.unreadable += 1
            return []
        if record is None:
            return []
        about = record.key
        named: Any = about
        group: str = named.group if isinstance(about, OffsetCommitKey | GroupMetadataKey) else named.group_id
        if self._wanted is not None and group not in self._wanted:
            return []
        story = self._stories.get(group)
        if story is None:
            if record.value is None:
                return []  # what is left of a group that was gone before
            story = self._stories[group] = Story(group, FEW_COMMITS if self._wanted is None else MOST_COMMITS)
        found = self._apply(story, about, record.value, timestamp)
        self._versions.put(group, story.version)
        if record.value is not None:
            self._gone.back(group)
        elif not story.members and not story.commits:
            for name in self._gone.mark(group):
                self._forget(name)
        return found

    def _forget(self, group: str) -> None:
        self._stories.pop(group, None)
        self._modern.pop(group, None)
        if group:  # else they are those of the brokers
            self._timeouts.pop(group, None)
        self._versions.put(group, None)

    def _apply(self, story: Story, about: object, value: object, timestamp: int) -> list[Event]:
        group = story.group
        if isinstance(about, OffsetCommitKey):
            return self._commit(story, about, value, timestamp)
        if isinstance(about, GroupMetadataKey):
            if value is None:
                return forget_group(story, timestamp) if story.kind != "consumer" else []
            return apply_group(story, value, timestamp)  # type: ignore[arg-type]
        modern = self._modern.get(group)
        if modern is None:
            modern = self._modern[group] = Modern(story, self._name)
            modern.session_ms, modern.heartbeat_ms = self._timeouts.get(group, self._timeouts[""])
        return modern.apply(about, value, timestamp)

    def _commit(self, story: Story, about: OffsetCommitKey, value: object, timestamp: int) -> list[Event]:
        partition = TopicPartition(about.topic, about.partition)
        if value is None:
            story.forgotten(partition)
            return []
        at_ms = getattr(value, "commit_timestamp", 0)
        return [story.committed(partition, value.offset, at_ms if at_ms > 0 else timestamp)]  # type: ignore[attr-defined]

    def learn_topics(self, names: Mapping[bytes, str]) -> None:
        """Topics' names by their ids (16 bytes), which records of consumer groups give alone."""
        late = {_text(topic_id): names[topic_id] for topic_id in self.unknown_topics & names.keys()}
        self._topics.update(names)
        self.unknown_topics -= names.keys()
        if late:
            for modern in self._modern.values():
                modern.story.rename(late)
                self._versions.put(modern.story.group, modern.story.version)

    def _name(self, topic_id: bytes) -> str:
        topic_id = bytes(topic_id)
        known = self._topics.get(topic_id)
        if known is None:
            self.unknown_topics.add(topic_id)
            return _text(topic_id)
        return known

    def learn_timeouts(self, group: str, session_ms: int, heartbeat_ms: int) -> None:
        """``consumer.session.timeout.ms`` and ``consumer.heartbeat.interval.ms`` of a consumer group (KIP-848); of the
        group "" those of the brokers, for groups that have none of their own. No record has them.
        """
        self._timeouts[group] = session_ms, heartbeat_ms
        for name, modern in self._modern.items():
            if group in {name, ""} and (group or name not in self._timeouts):
                modern.session_ms, modern.heartbeat_ms = session_ms, heartbeat_ms

    def look(self, facts: GroupFacts, at_ms: int, took_ms: int = 0) -> None:
        """What the group answered to a look that ended then and took so long: of a classic group only this tells that a
        rebalance has begun.
        """
        story = self._stories.get(facts.group)
        if story is not None:
            story.looked(facts, at_ms, took_ms)
            self._versions.put(facts.group, story.version)

    def look_at_ends(self, ends: Mapping[TopicPartition, int], at_ms: int) -> None:
        """How far partitions reached then: tells how many records came while they waited."""
        self._ends.look(ends, at_ms)

    def learn_log(self, lines: Iterable[Line]) -> None:
        """All that a broker's own log says of why; it wins over what timing suggests."""
        by_group: dict[str, list[Line]] = {}
        for line in lines:
            by_group.setdefault(line.group, []).append(line)
        for group, found in by_group.items():
            if group in self._stories:
                self._stories[group].use_log(found)
                self._versions.put(group, self._stories[group].version)

    # Asking

    @property
    def groups(self) -> tuple[str, ...]:
        """Every group of which something was read; of those that are gone the last ones."""
        return tuple(self._stories)

    def knows(self, group: str) -> bool:
        """Whether it is one of them."""
        return group in self._stories

    @property
    def consumer_groups(self) -> tuple[str, ...]:
        """Those that are, or were, consumer groups (KIP-848)."""
        return tuple(self._modern)

    def events(self, group: str) -> list[Event]:
        """What is remembered of the group but for commits, by today's belief, in order of time; nothing of an unknown
        group.
        """
        story = self._stories.get(group)
        return [] if story is None else story.events()

    def account(self, group: str) -> list[Told]:
        """Each rebalance with its causes and what it cost, oldest first."""
        story = self._stories.get(group)
        return [] if story is None else tell(story, self._ends)

    def rebalance(self, group: str, now_ms: int) -> RebalanceView | None:
        """The rebalance that goes on."""
        story = self._stories.get(group)
        return None if story is None else under_way(story, self._modern.get(group), now_ms)

    def version(self, group: str) -> int:
        """A number that is another one whenever there may be news of the group."""
        story = self._stories.get(group)
        return 0 if story is None else story.version

    def versions(self) -> dict[str, int]:
        """The same of all groups; the same dictionary until there is news."""
        return self._versions.all()

    def commit_steps(self, group: str) -> dict[TopicPartition, list[tuple[int, int]]]:
        """The last commits that moved a partition's offset: when, and to which, oldest first."""
        story = self._stories.get(group)
        found: dict[TopicPartition, list[tuple[int, int]]] = {}
        if story is None:
            return found
        for at_ms, _, partition, _, last in story.recent:
            found.setdefault(partition, []).append((at_ms, last + 1))
        for partition, latest in story.commits.items():
            steps = found.setdefault(partition, [])
            if not steps or steps[-1][1] != latest[1]:
                steps.append(latest)
        return found

    def timed(self, group: str, commits: Mapping[TopicPartition, Commit]) -> dict[TopicPartition, Commit]:
        """The commits with their times, where the log has the same offset."""
        story = self._stories.get(group)
        known = {} if story is None else story.commits
        return {
            tp: commit._replace(at_ms=known[tp][0])
            if tp in known and known[tp][1] == commit.offset
            else commit
            for tp, commit in commits.items()
        }

    def completed(self, facts: GroupFacts) -> GroupFacts:
        """The facts with what only the log knows: timeouts, protocols, generation, since when the state lasts."""
        story = self._stories.get(facts.group)
        if story is None or not story.kind:
            return facts
        members = []
        for each in facts.members:
            known = story.members.get(each.member_id)
            if known is not None:
                session_ms = known.session_ms
                modern = self._modern.get(facts.group)
                if session_ms is None and modern is not None and story.kind == "consumer":
                    session_ms = modern.session_ms
                each = replace(
                    each,
                    session_timeout_ms=session_ms,
                    rebalance_timeout_ms=known.poll_ms,
                    protocols=known.protocols or each.protocols,
                    revoking=known.revoking,
                )
            members.append(each)
        epoch = facts.epoch if facts.epoch is not None else story.generation
        since_ms = story.state_since_ms
        if facts.is_rebalancing:
            since_ms = story.open.began_ms if story.open is not None else None
        return replace(facts, members=tuple(members), epoch=epoch, state_since_ms=since_ms)


def _text(topic_id: bytes) -> str:
    """What a topic without a name is called: its id, as Kafka's tools write it."""
    return base64.urlsafe_b64encode(topic_id).decode().rstrip("=")
