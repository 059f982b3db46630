"""Asks Apache Kafka's own assignors through AssignorHarness.java, which describes the lines exchanged."""

from __future__ import annotations

import subprocess
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.kafka.jars import KAFKA_VERSION, jars, java

from rota.model import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

    from rota.coordinator.assignors import MemberSubscription

HARNESS = Path(__file__).with_name("AssignorHarness.java")


class JavaAssignors:
    """A Java process that assigns; a context manager. `KafkaMissingError` if Java or its jars are missing."""

    def __enter__(self) -> Self:
        directory = jars()
        class_path = [directory / f"kafka-clients-{KAFKA_VERSION}.jar", *directory.glob("slf4j-api-*.jar")]
        self.process = subprocess.Popen(
            [java(), "-cp", ":".join(map(str, class_path)), str(HARNESS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.stdin.close()  # type: ignore[union-attr]
        self.process.stdout.close()  # type: ignore[union-attr]
        self.process.wait(timeout=30)

    def assign(
        self, strategy: str, members: Mapping[str, MemberSubscription], topics: Mapping[str, int]
    ) -> dict[str, list[TopicPartition]] | None:
        """Java's assignment; None if it threw."""
        self._send(members, topics, f"assign\t{strategy}")
        assignment: dict[str, list[TopicPartition]] = {}
        while True:
            line = self._line()
            if line == ".":
                return assignment
            if line.startswith("! "):
                return None
            member, _, partitions = line.partition("\t")
            assignment[member] = [
                TopicPartition(topic, int(number))
                for topic, _, number in (each.rpartition(":") for each in partitions.split())
            ]

    def time(
        self, strategy: str, members: Mapping[str, MemberSubscription], topics: Mapping[str, int], runs: int
    ) -> list[float]:
        """The milliseconds that Java takes, run by run in one process."""
        self._send(members, topics, f"time\t{strategy}\t{runs}")
        return [float(each) for each in self._line().split()]

    def _send(
        self, members: Mapping[str, MemberSubscription], topics: Mapping[str, int], request: str
    ) -> None:
        lines = ["clear", *(f"topic\t{topic}\t{count}" for topic, count in topics.items())]
        lines += [_member_line(member, subscription) for member, subscription in members.items()]
        assert self.process.stdin is not None
        self.process.stdin.write("\n".join([*lines, request, ""]))
        self.process.stdin.flush()

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.endswith("\n"), "the harness has ended"
        return line[:-1]


def _member_line(member: str, subscription: MemberSubscription) -> str:
    fields = [
        "member",
        member,
        subscription.instance_id or "",
        str(subscription.generation),
        ",".join(subscription.topics),
        _grouped(subscription.owned_partitions),
        (subscription.user_data or b"").hex(),
    ]
    return "\t".join(fields)


def _grouped(partitions: Iterable[TopicPartition]) -> str:
    runs = groupby(partitions, key=attrgetter("topic"))  # in their order: it decides ties
    return ";".join(f"{topic}:{','.join(str(each.partition) for each in run)}" for topic, run in runs)
