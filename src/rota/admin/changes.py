"""What changes a group: OffsetCommit, DeleteGroups, OffsetDelete (KIP-496), LeaveGroup for static members (KIP-345)."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, TypeVar

from rota.admin.asking import Question
from rota.admin.errors import ConnectionFailedError, error_of, refusal
from rota.model import ErrorCode, KafkaError, RotaError, TopicPartition
from rota.wire.messages.delete_groups import DeleteGroupsRequest, DeleteGroupsResponse
from rota.wire.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberIdentity
from rota.wire.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from rota.wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping

    from rota.admin.connection import Connection
    from rota.admin.routing import Brokers
    from rota.monitor.facts import Commit

__all__ = ["alter_offsets", "delete_groups", "delete_offsets", "remove_members"]

SEVERAL_LEAVE_FROM = 3
"""The version of LeaveGroup that removes members by their instance ids."""

_K = TypeVar("_K")
_Errors = dict[_K, KafkaError | None]


async def delete_groups(
    brokers: Brokers, names: Collection[str], timeout_s: float
) -> dict[str, RotaError | None]:
    """Delete groups without members, with all that they have committed; None for each that is gone."""
    unsure: set[str] = set()

    async def ask(connection: Connection, batch: list[str]) -> dict[str, KafkaError | None]:
        before = unsure & set(batch)
        unsure.update(batch)  # until an answer has come
        answer = await connection.ask(DeleteGroupsRequest(groups_names=batch), DeleteGroupsResponse)
        unsure.difference_update(batch)
        found = {each.group_id: error_of(each.error_code) for each in answer.results}
        # Asked again after a connection broke: it may have been this that deleted it.
        for name in before:
            error = found.get(name)
            if error is not None and error.code == ErrorCode.GROUP_ID_NOT_FOUND:
                found[name] = None
        return found

    question: Question[str, None] = Question(
        brokers,
        places=brokers.coordinators,
        forget=brokers.forget,
        ask=ask,
        doing=lambda name: f"delete group {name}",
    )
    return await question.answer(names, timeout_s)


async def alter_offsets(
    brokers: Brokers, group: str, offsets: Mapping[TopicPartition, Commit], timeout_s: float
) -> dict[TopicPartition, RotaError | None]:
    """Commit for a group without members."""

    async def ask(connection: Connection) -> _Errors[TopicPartition]:
        topics = [
            OffsetCommitRequestTopic(name=name, partitions=[_committed(tp, offsets[tp]) for tp in partitions])
            for name, partitions in _by_topic(offsets).items()
        ]
        answer = await connection.ask(
            OffsetCommitRequest(group_id=group, topics=topics), OffsetCommitResponse
        )
        return {
            TopicPartition(topic.name, part.partition_index): _commit_error(part.error_code)
            for topic in answer.topics
            for part in topic.partitions
        }

    doing = f"set the offset of group {group} in partition"
    return await _of_group(brokers, group, offsets, ask, lambda tp: f"{doing} {tp}", timeout_s)


async def delete_offsets(
    brokers: Brokers, group: str, partitions: Collection[TopicPartition], timeout_s: float
) -> dict[TopicPartition, RotaError | None]:
    """Forget what a group has committed in these partitions; not of topics that its members subscribe to."""

    async def ask(connection: Connection) -> _Errors[TopicPartition]:
        topics = [
            OffsetDeleteRequestTopic(
                name=name,
                partitions=[OffsetDeleteRequestPartition(partition_index=tp.partition) for tp in each],
            )
            for name, each in _by_topic(partitions).items()
        ]
        answer = await connection.ask(
            OffsetDeleteRequest(group_id=group, topics=topics), OffsetDeleteResponse
        )
        if (error := error_of(answer.error_code)) is not None:
            raise error
        return {
            TopicPartition(topic.name, part.partition_index): error_of(part.error_code)
            for topic in answer.topics
            for part in topic.partitions
        }

    doing = f"delete the offset of group {group} in partition"
    return await _of_group(brokers, group, partitions, ask, lambda tp: f"{doing} {tp}", timeout_s)


async def remove_members(
    brokers: Brokers, group: str, instance_ids: Collection[str], reason: str, timeout_s: float
) -> dict[str, RotaError | None]:
    """Take static members out of a group, so that their partitions go to others at once."""

    async def ask(connection: Connection) -> _Errors[str]:
        assert connection.versions is not None
        if connection.versions.best(LeaveGroupRequest.api_key) < SEVERAL_LEAVE_FROM:
            raise KafkaError(ErrorCode.UNSUPPORTED_VERSION)
        members = [MemberIdentity(group_instance_id=each, reason=reason) for each in instance_ids]
        answer = await connection.ask(LeaveGroupRequest(group_id=group, members=members), LeaveGroupResponse)
        if (error := error_of(answer.error_code)) is not None:
            raise error
        return {each.group_instance_id or "": error_of(each.error_code) for each in answer.members}

    return await _of_group(
        brokers, group, instance_ids, ask, lambda each: f"remove member {each} from group {group}", timeout_s
    )


async def _of_group(
    brokers: Brokers,
    group: str,
    things: Iterable[_K],
    ask: Callable[[Connection], Awaitable[_Errors[_K]]],
    doing: Callable[[_K], str],
    timeout_s: float,
) -> dict[_K, RotaError | None]:
    """Put one request about one group to its coordinator; for each thing, None or why not."""
    left = list(things)
    if not left:
        return {}

    async def ask_one(connection: Connection, _: list[str]) -> dict[str, _Errors[_K] | KafkaError]:
        errors = await ask(connection)
        whole = next((each for each in errors.values() if each is not None and _is_of_group(each)), None)
        return {group: whole or errors}

    question: Question[str, _Errors[_K]] = Question(
        brokers,
        places=brokers.coordinators,
        forget=brokers.forget,
        ask=ask_one,
        doing=lambda _: f"change group {group}",
    )
    answer = (await question.answer([group], timeout_s))[group]
    if isinstance(answer, RotaError):
        return dict.fromkeys(left, answer)
    missing = KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, "the broker's answer leaves it out")
    found: dict[_K, RotaError | None] = {}
    for thing in left:
        error = answer.get(thing, missing)
        found[thing] = None if error is None else refusal(error, doing(thing))
    return found


_OF_GROUP = frozenset(
    {
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.NOT_COORDINATOR,
    }
)


def _is_of_group(error: KafkaError | ConnectionFailedError) -> bool:
    """Whether an error in a partition's place says that somebody else is to be asked about the whole group."""
    return isinstance(error, KafkaError) and error.code in _OF_GROUP


def _committed(tp: TopicPartition, commit: Commit) -> OffsetCommitRequestPartition:
    return OffsetCommitRequestPartition(
        partition_index=tp.partition,
        committed_offset=commit.offset,
        committed_leader_epoch=-1 if commit.leader_epoch is None else commit.leader_epoch,
        committed_metadata=commit.metadata,
    )


def _commit_error(code: int) -> KafkaError | None:
    """Whoever commits without being a member is told that he is none, when the group has some."""
    error = error_of(code)
    if error is not None and error.code in {ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.ILLEGAL_GENERATION}:
        return KafkaError(ErrorCode.NON_EMPTY_GROUP)
    return error


def _by_topic(partitions: Iterable[TopicPartition]) -> dict[str, list[TopicPartition]]:
    found: defaultdict[str, list[TopicPartition]] = defaultdict(list)
    for tp in partitions:
        found[tp.topic].append(tp)
    return found
