"""The first batch or record at an offset: Fetch, without joining anything.

A broker sends whole batches only, in place of one that is larger than a partition may have here it sends nothing; but
the first partition of an answer that has anything gets its first batch, however large. So little is asked of many
partitions at first, more of those that need it, and in the end every one comes to be the first.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

from rota.admin.asking import Question, ask_in_chunks
from rota.admin.errors import error_of, no_answer
from rota.admin.offsets import At, list_offsets
from rota.model import ErrorCode, KafkaError, RotaError, TopicPartition
from rota.monitor.facts import BatchFacts
from rota.wire.errors import WireError
from rota.wire.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from rota.wire.records import HEADER_SIZE, check_batch, iter_records, read_header

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rota.admin.connection import Connection
    from rota.admin.routing import Brokers
    from rota.admin.topics import Topics
    from rota.wire.messages.fetch import PartitionData
    from rota.wire.records import Record

__all__ = ["batches", "record_at"]

BY_NAME = 12
"""The last version of Fetch that names topics; later ones have ids."""

LITTLE, MUCH = 2 * 1024, 1024 * 1024
"""What a partition may have in the first answer, and in those after it: bytes."""

ANSWER_SIZE = 8 * 1024 * 1024
PARTITIONS_AT_ONCE = 1_000
MAGIC = 2


async def batches(
    brokers: Brokers, topics: Topics, wanted: Mapping[TopicPartition, int], timeout_s: float
) -> dict[TopicPartition, BatchFacts | RotaError | None]:
    """The header of the first batch that reaches an offset; None where the log ends before."""
    found = await _fetch(brokers, topics, wanted, timeout_s, LITTLE)
    return {tp: each if isinstance(each, RotaError) else _header(tp, each) for tp, each in found.items()}


async def record_at(
    brokers: Brokers, topics: Topics, tp: TopicPartition, offset: int, timeout_s: float
) -> Record | None:
    """The first record from an offset on, markers of transactions left out; None where there is none yet.

    Raises:
        RotaError: nobody could say, or what is there cannot be read.
    """
    deadline = asyncio.get_running_loop().time() + timeout_s
    while (left_s := deadline - asyncio.get_running_loop().time()) > 0:
        found = (await _fetch(brokers, topics, {tp: offset}, left_s, MUCH))[tp]
        if isinstance(found, RotaError):
            raise found
        if not found:
            return None
        try:
            record, following = _first_record(found, offset)
        except WireError as error:
            raise RotaError(
                f"the record at offset {offset} of partition {tp} cannot be read: {error}"
            ) from None
        if record is not None:
            return record
        offset = following
    raise no_answer(f"read the record at offset {offset} of partition {tp}", timeout_s, None)


def _first_record(data: bytes, offset: int) -> tuple[Record | None, int]:
    """The first record from an offset on, or where to go on looking. Raises ``WireError``."""
    at, following = 0, offset
    while len(data) - at >= HEADER_SIZE:
        header = read_header(data, at)
        if header.size < HEADER_SIZE or header.size > len(data) - at:
            break
        if not header.is_control and header.last_offset >= offset:
            check_batch(data, at)
            for record in iter_records(data, at):
                if record.offset >= offset:
                    return record, following
        at += header.size
        following = max(following, header.next_offset)
    if following == offset:
        raise WireError("the leader sent no whole batch")
    return None, following


async def _fetch(
    brokers: Brokers, topics: Topics, wanted: Mapping[TopicPartition, int], timeout_s: float, size: int
) -> dict[TopicPartition, bytes | RotaError]:
    at = dict(wanted)

    async def ask(
        connection: Connection, partitions: list[TopicPartition]
    ) -> dict[TopicPartition, bytes | KafkaError]:
        return await ask_in_chunks(
            partitions,
            PARTITIONS_AT_ONCE,
            lambda each: _of_leader(connection, {tp: at[tp] for tp in each}, size),
        )

    question = Question(
        brokers,
        places=topics.leaders,
        forget=topics.forget,
        ask=ask,
        doing=lambda tp: f"read partition {tp}",
    )
    return await question.answer(at, timeout_s)


async def _of_leader(
    connection: Connection, at: dict[TopicPartition, int], size: int
) -> dict[TopicPartition, bytes | KafkaError]:
    """Ask until every partition has sent a batch, or has none from its offset on: no bytes."""
    found: dict[TopicPartition, bytes | KafkaError] = {}
    left = dict(at)
    while left:
        answer = await connection.ask(_request(left, size), FetchResponse, most=BY_NAME)
        if (error := error_of(answer.error_code)) is not None:
            raise error
        outside: list[TopicPartition] = []
        for topic in answer.responses:
            for part in topic.partitions:
                tp = TopicPartition(topic.topic, part.partition_index)
                outcome = _outcome(part, left.get(tp, 0))
                if isinstance(outcome, KafkaError) and outcome.code == ErrorCode.OFFSET_OUT_OF_RANGE:
                    outside.append(tp)
                elif outcome is not None:
                    found[tp] = outcome
        again = {tp: offset for tp, offset in left.items() if tp not in found}
        again |= await _within(connection, again, outside, found)
        if again == left and size == MUCH:
            raise connection.fail(f"{connection.address} sends no records where there are some")
        left, size = {tp: offset for tp, offset in again.items() if tp not in found}, MUCH
    return found


async def _within(
    connection: Connection,
    at: Mapping[TopicPartition, int],
    outside: list[TopicPartition],
    found: dict[TopicPartition, bytes | KafkaError],
) -> dict[TopicPartition, int]:
    """Where logs begin whose offset was taken away by retention; nothing is found where the log ends before it."""
    starts: dict[TopicPartition, int] = {}
    for tp, answer in (await list_offsets(connection, outside, At.EARLIEST)).items() if outside else ():
        if isinstance(answer, KafkaError):
            found[tp] = answer
        elif answer.offset is not None and answer.offset > at[tp]:
            starts[tp] = answer.offset
        else:
            found[tp] = b""
    return starts


def _request(at: Mapping[TopicPartition, int], size: int) -> FetchRequest:
    by_topic: defaultdict[str, list[FetchPartition]] = defaultdict(list)
    for tp, offset in at.items():
        by_topic[tp.topic].append(
            FetchPartition(partition=tp.partition, fetch_offset=offset, partition_max_bytes=size)
        )
    return FetchRequest(
        max_wait_ms=0,
        min_bytes=0,
        max_bytes=ANSWER_SIZE,
        topics=[FetchTopic(topic=name, partitions=parts) for name, parts in by_topic.items()],
    )


def _outcome(part: PartitionData, offset: int) -> bytes | KafkaError | None:
    """What was sent of a partition; None: nothing, and there is more."""
    if (error := error_of(part.error_code)) is not None:
        return error
    if part.records is not None and len(part.records) >= HEADER_SIZE:
        return bytes(part.records)
    return b"" if offset >= part.high_watermark else None


def _header(tp: TopicPartition, data: bytes) -> BatchFacts | RotaError | None:
    if not data:
        return None
    header = read_header(data)
    if header.magic != MAGIC:
        return RotaError(
            f"partition {tp} holds batches of an old format (magic {header.magic}), which has no times"
        )
    return BatchFacts(
        base_offset=header.base_offset,
        last_offset=header.last_offset,
        base_timestamp_ms=header.base_timestamp,
        max_timestamp_ms=header.max_timestamp,
        log_append=header.timestamp_type == "LogAppendTime",
        control=header.is_control,
        records=header.record_count,
        size=header.size,
    )
