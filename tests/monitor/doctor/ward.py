"""A doctor at a real group: looks, what the group recorded, and what the doctor says, by way of the real gathering."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING, Self

from confluent_kafka import TopicPartition as ClientPartition
from tests.kafka.ports import PATIENCE_S, wait_until
from tests.monitor.doctor.checks import alone, check

from rota.admin import Admin
from rota.model import TopicPartition
from rota.monitor.doctor import diagnose
from rota.monitor.facts import Commit
from rota.watching.evidence import Checkup
from rota.watching.offsets_topic import OffsetsTopic

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from tests.clients.desk import Desk

    from rota.monitor.doctor import Evidence
    from rota.monitor.findings import Finding

__all__ = ["Ward", "commit", "cut", "printed_tool"]


class Ward:
    """Watches one group of a cluster; a context manager. Looks ``every_s`` seconds while it waits for something."""

    def __init__(
        self, bootstrap_servers: str, group: str, *, every_s: float = 0.4, timeout_s: float = 5
    ) -> None:
        self.group = group
        self._every_s = every_s
        self._admin = Admin(bootstrap_servers, {}, timeout_s=timeout_s)
        self._topic = OffsetsTopic(self._admin, [group])
        self.checkup = Checkup(self._admin, groups=[group], topic=self._topic)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._topic.close()
        self._admin.close()

    def evidence(self) -> Evidence | None:
        """After one more look; None while nothing is known of the group."""
        self.checkup.look()
        return self.checkup.evidence().get(self.group)

    def sees(self, rule: str, that: Callable[[Finding], bool] = lambda _: True) -> Finding:
        """Look until the rule finds something (that is so), also when it competes with the others."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            evidence = self.evidence()
            found = (
                []
                if evidence is None
                else [each for each in diagnose(evidence).findings if each.rule == rule]
            )
            for finding in found:
                check(finding)
                if that(finding):
                    return finding
            if time.monotonic() > deadline:
                raise TimeoutError(f"{rule} does not find that; {_words(evidence)}")
            time.sleep(self._every_s)

    def settles(self, that: Callable[[Evidence], object], looks: int = 3) -> Evidence:
        """Look until this has been so several times in a row, with all that the group recorded read."""
        deadline = time.monotonic() + PATIENCE_S
        count = 0
        while True:
            evidence = self.evidence()
            is_so = evidence is not None and evidence.events is not None and that(evidence)
            count = count + 1 if is_so else 0
            if count == looks and evidence is not None:
                return evidence
            if time.monotonic() > deadline:
                raise TimeoutError(f"it is not so; {_words(evidence)}")
            time.sleep(self._every_s)

    def stays_silent(self, rule: str, that: Callable[[Evidence], object], looks: int = 3) -> None:
        """The rule has all that it needs, and finds nothing in what has settled."""
        evidence = self.settles(that, looks)
        assert alone(rule, evidence) == []


def commit(desk: Desk, group: str, topic: str, offset: int) -> None:
    """A group that nobody is in has read so far."""
    with Admin(desk.bootstrap_servers) as admin:

        def done() -> bool:  # a new Kafka takes its time to make the topic of groups
            (refused,) = admin.alter_offsets(group, {TopicPartition(topic, 0): Commit(offset)}).values()
            return refused is None

        wait_until(f"{group} has committed {offset}", done)


def cut(desk: Desk, topic: str, before: int) -> None:
    """The topic's first records are deleted."""
    (deleted,) = desk.admin.delete_records([ClientPartition(topic, 0, before)]).values()
    deleted.result(PATIENCE_S)


def printed_tool(desk: Desk, command: str) -> str:
    """What a tool of Kafka's says to a command line that a finding shows, run as it stands."""
    name, *words = shlex.split(command)
    where = words.index("--bootstrap-server")
    assert words[where + 1] == desk.bootstrap_servers
    return desk.tools(name.removesuffix(".sh"), *words[:where], *words[where + 2 :])


def _words(evidence: Evidence | None) -> str:
    """What is to be known when a test fails."""
    if evidence is None:
        return "nothing is known of the group"
    group, diagnosis = evidence.facts, diagnose(evidence)
    members = [f"{each.client_id} epoch {each.epoch}: {len(each.assignment)}" for each in group.members]
    found = [finding.words for finding in diagnosis.findings]
    lags = [
        f"{each.partition.partition}: {each.commit and each.commit.offset}/{each.end}"
        for each in evidence.view.partitions
    ]
    return (
        f"{group.group} is {group.state} {group.epoch}, members {members}, partitions {lags}, found {found}, "
        f"not judged {diagnosis.unjudged}, events {evidence.events and evidence.events[-6:]}"
    )
