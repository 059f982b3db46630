"""What groups there are, and who is in them: ListGroups, DescribeGroups, ConsumerGroupDescribe (KIP-848)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rota.admin.asking import Question, ask_in_chunks
from rota.admin.errors import ConnectionFailedError, error_of, is_moving, refusal
from rota.admin.members import classic_group, consumer_group
from rota.model import ErrorCode, KafkaError, RotaError
from rota.monitor.facts import GroupFacts, GroupListing
from rota.wire.messages.consumer_group_describe import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
)
from rota.wire.messages.describe_groups import DescribeGroupsRequest, DescribeGroupsResponse
from rota.wire.messages.list_groups import ListGroupsRequest, ListGroupsResponse

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from rota.admin.connection import Connection
    from rota.admin.routing import Brokers

__all__ = ["describe_groups", "list_groups"]

GROUPS_AT_ONCE = 100
"""How many groups one request describes. The next is under way while an answer is read."""

STATES_FROM, TYPES_FROM = 4, 5
"""The versions of ListGroups that filter by state (KIP-518) and by type (KIP-848)."""


async def list_groups(
    brokers: Brokers, states: Collection[str], types: Collection[str], timeout_s: float
) -> tuple[tuple[GroupListing, ...], RotaError | None]:
    """Every group, by name; each broker knows only those that it coordinates."""
    await brokers.learn_nodes()
    doing = f"list the groups at {brokers.bootstrap}"
    tasks = {
        number: asyncio.create_task(_listed_at(brokers, number, states, types, timeout_s))
        for number in brokers.nodes
    }
    found: dict[str, GroupListing] = {}
    failure: RotaError | None = None
    heard = False
    for number, answer in zip(tasks, await asyncio.gather(*tasks.values()), strict=True):
        if isinstance(answer, KafkaError | ConnectionFailedError):
            missing = f"broker {number} of {brokers.bootstrap} does not answer: groups that it coordinates are missing"
            failure = RotaError(missing) if is_moving(answer) else refusal(answer, doing)
            continue
        heard = True
        found |= {each.group: each for each in answer}
    if failure is not None and not heard:
        raise failure
    return tuple(found[name] for name in sorted(found)), failure


async def _listed_at(
    brokers: Brokers, number: int, states: Collection[str], types: Collection[str], timeout_s: float
) -> list[GroupListing] | KafkaError | ConnectionFailedError:
    failure: KafkaError | ConnectionFailedError = ConnectionFailedError(f"broker {number} does not answer")
    rest_s = 0.05
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                try:
                    return await _listed(await brokers.node(number), states, types)
                except (KafkaError, ConnectionFailedError) as error:
                    failure = error
                # One that refuses connections is gone; whose groups others take over is theirs to tell.
                if not is_moving(failure) or isinstance(failure, ConnectionFailedError):
                    return failure
                await asyncio.sleep(rest_s)
                rest_s *= 2
    except TimeoutError:
        return failure


async def _listed(
    connection: Connection, states: Collection[str], types: Collection[str]
) -> list[GroupListing]:
    assert connection.versions is not None
    version = connection.versions.best(ListGroupsRequest.api_key)
    request = ListGroupsRequest(states_filter=list(states), types_filter=list(types))
    answer = await connection.ask(request, ListGroupsResponse)
    if (error := error_of(answer.error_code)) is not None:
        raise error
    # A broker that tells no types mostly knows of one only.
    other = "Unknown" if connection.versions.knows(ConsumerGroupDescribeRequest.api_key) else "Classic"
    found = [
        GroupListing(
            each.group_id,
            (each.group_type or "Classic").capitalize() if version >= TYPES_FROM else other,
            each.group_state or "Unknown",
            each.protocol_type,
        )
        for each in answer.groups
    ]
    wanted_states, wanted_types = {s.lower() for s in states}, {t.lower() for t in types}
    return [
        each
        for each in found  # older brokers do not filter
        if (not wanted_states or version >= STATES_FROM or each.state.lower() in wanted_states)
        and (not wanted_types or version >= TYPES_FROM or each.type.lower() in wanted_types)
    ]


async def describe_groups(
    brokers: Brokers, names: Collection[str], timeout_s: float, types: Mapping[str, str] | None = None
) -> dict[str, GroupFacts | RotaError]:
    """State and members of each. ``types`` are known from a list of groups; both kinds are tried for others."""
    known = types or {}

    async def ask(connection: Connection, batch: list[str]) -> dict[str, GroupFacts | KafkaError]:
        assert connection.versions is not None
        newer = connection.versions.knows(ConsumerGroupDescribeRequest.api_key)
        classic = [name for name in batch if known.get(name) != "Consumer"]
        modern = [name for name in batch if known.get(name) != "Classic"] if newer else []
        found, others = await asyncio.gather(
            ask_in_chunks(classic, GROUPS_AT_ONCE, lambda each: _classic(connection, brokers, each)),
            ask_in_chunks(modern, GROUPS_AT_ONCE, lambda each: _consumer(connection, brokers, each)),
        )
        for name, answer in others.items():
            if name not in found or _says_more(answer, found[name]):
                found[name] = answer
        return {name: _or_dead(name, answer, brokers, connection) for name, answer in found.items()}

    question = Question(
        brokers,
        places=brokers.coordinators,
        forget=brokers.forget,
        ask=ask,
        doing=lambda name: f"describe group {name}",
    )
    return await question.answer(names, timeout_s)


def _says_more(answer: GroupFacts | KafkaError, other: GroupFacts | KafkaError) -> bool:
    """Of two descriptions that of the group's own kind is the one that does not say `Dead`; else an error says why."""

    def rank(each: GroupFacts | KafkaError) -> int:
        if isinstance(each, KafkaError):
            return 0 if each.code == ErrorCode.GROUP_ID_NOT_FOUND else 1
        return 2 if each.exists else 0

    return rank(answer) > rank(other)


def _or_dead(
    name: str, answer: GroupFacts | KafkaError, brokers: Brokers, connection: Connection
) -> GroupFacts | KafkaError:
    """A group that nobody has heard of is one in state `Dead`, as in older versions."""
    if isinstance(answer, KafkaError) and answer.code == ErrorCode.GROUP_ID_NOT_FOUND:
        return GroupFacts(name, "Unknown", "Dead", coordinator=brokers.node_at(connection))
    return answer


async def _classic(
    connection: Connection, brokers: Brokers, names: list[str]
) -> dict[str, GroupFacts | KafkaError]:
    answer = await connection.ask(DescribeGroupsRequest(groups=names), DescribeGroupsResponse)
    at = brokers.node_at(connection)
    return {
        each.group_id: error_of(each.error_code, each.error_message) or classic_group(each, at)
        for each in answer.groups
    }


async def _consumer(
    connection: Connection, brokers: Brokers, names: list[str]
) -> dict[str, GroupFacts | KafkaError]:
    request = ConsumerGroupDescribeRequest(group_ids=names)
    answer = await connection.ask(request, ConsumerGroupDescribeResponse)
    at = brokers.node_at(connection)
    return {
        each.group_id: error_of(each.error_code, each.error_message) or consumer_group(each, at)
        for each in answer.groups
    }
