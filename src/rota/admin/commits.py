"""Where groups go on reading: OffsetFetch, for many groups in one request where the broker knows how (KIP-709)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.admin.asking import Question, ask_in_chunks
from rota.admin.commits_reader import Remembered, read_commits
from rota.admin.errors import error_of
from rota.model import KafkaError, TopicPartition
from rota.monitor.facts import Commit
from rota.wire.errors import WireError
from rota.wire.messages.offset_fetch import OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchResponse

if TYPE_CHECKING:
    from collections.abc import Collection

    from rota.admin.connection import Connection
    from rota.admin.routing import Brokers
    from rota.model import RotaError

__all__ = ["GroupCommits", "commits"]

GroupCommits = dict[TopicPartition, Commit]

GROUPS_AT_ONCE = 100
"""How many groups one request asks about: its answer is read while the broker works on the next."""

MANY_GROUPS, ALL_TOPICS = 8, 2
"""The versions of OffsetFetch from which on a request has several groups, and may ask for all topics of one."""


async def commits(
    brokers: Brokers, groups: Collection[str], timeout_s: float, remembered: Remembered | None = None
) -> dict[str, GroupCommits | RotaError]:
    """Every offset that each of these groups has committed; offsets of open transactions are not committed yet.

    With what was ``remembered`` the same dictionary is given for a group that has committed nothing since.
    """
    memory = Remembered() if remembered is None else remembered

    async def ask(connection: Connection, names: list[str]) -> dict[str, GroupCommits | KafkaError]:
        assert connection.versions is not None
        version = connection.versions.best(OffsetFetchRequest.api_key)
        if version >= MANY_GROUPS:
            return await ask_in_chunks(names, GROUPS_AT_ONCE, lambda each: _of_many(connection, each, memory))
        return await ask_in_chunks(names, 1, lambda each: _of_one(connection, *each))

    question = Question(
        brokers,
        places=brokers.coordinators,
        forget=brokers.forget,
        ask=ask,
        doing=lambda group: f"read the offsets of group {group}",
    )
    return await question.answer(groups, timeout_s)


async def _of_many(
    connection: Connection, names: list[str], memory: Remembered
) -> dict[str, GroupCommits | KafkaError]:
    request = OffsetFetchRequest(
        groups=[OffsetFetchRequestGroup(group_id=name, topics=None) for name in names]
    )
    answer = await connection.ask_raw(request)
    try:
        return read_commits(answer.frame, answer.body, memory)
    except WireError as error:
        raise connection.fail(f"{connection.address} sent what is no answer of Kafka's: {error}") from None


async def _of_one(connection: Connection, name: str) -> dict[str, GroupCommits | KafkaError]:
    answer = await connection.ask(OffsetFetchRequest(group_id=name, topics=None), OffsetFetchResponse, most=7)
    if (error := error_of(answer.error_code)) is not None:
        return {name: error}
    found: GroupCommits = {}
    for topic in answer.topics:
        for part in topic.partitions:
            if (error := error_of(part.error_code)) is not None:
                return {name: error}
            if part.committed_offset >= 0:
                epoch = part.committed_leader_epoch if part.committed_leader_epoch >= 0 else None
                tp = TopicPartition(topic.name, part.partition_index)
                found[tp] = Commit(part.committed_offset, epoch, part.metadata or "")
    return {name: found}
