"""Microseconds a message takes to read and to write, beside kio, which the tests also hold the codec against.

    python bench/codec.py [--rounds 9]

Requests are read and responses written, as a broker does. The two codecs take turns; each number is the median
of its rounds in processor time.
"""

from __future__ import annotations

import argparse
import importlib
import io
import re
import statistics
import time
from collections.abc import Callable
from typing import Any

from kio.serial import entity_reader, entity_writer

from rota.wire.apis import APIS
from rota.wire.codec import decoder, encode, encoder
from rota.wire.messages import fetch, heartbeat, join_group, metadata, offset_commit, produce, sync_group
from rota.wire.schema import Message

_ROUND_SECONDS = 0.04
_BATCH = bytes(100_000)
_MEMBER = "consumer-orders-1-8d3c1b1e-0d3f-4d0a-9d51-3b6a7f0f2c11"


def _heartbeat() -> tuple[Message, Message, int]:
    return (
        heartbeat.HeartbeatRequest(group_id="orders", generation_id=7, member_id=_MEMBER),
        (heartbeat.HeartbeatResponse()),
        4,
    )


def _join_group() -> tuple[Message, Message, int]:
    request = join_group.JoinGroupRequest(
        group_id="orders",
        session_timeout_ms=45_000,
        rebalance_timeout_ms=300_000,
        member_id=_MEMBER,
        protocol_type="consumer",
        protocols=[join_group.JoinGroupRequestProtocol(name="range", metadata=bytes(60))],
    )
    members = [
        join_group.JoinGroupResponseMember(member_id=f"{_MEMBER}{number}", metadata=bytes(60))
        for number in range(10)
    ]
    response = join_group.JoinGroupResponse(
        generation_id=7, protocol_name="range", leader=_MEMBER, member_id=_MEMBER, members=members
    )
    return request, response, 9


def _sync_group() -> tuple[Message, Message, int]:
    assignments = [
        sync_group.SyncGroupRequestAssignment(member_id=f"{_MEMBER}{number}", assignment=bytes(100))
        for number in range(10)
    ]
    request = sync_group.SyncGroupRequest(
        group_id="orders", generation_id=7, member_id=_MEMBER, assignments=assignments
    )
    return request, sync_group.SyncGroupResponse(protocol_name="range", assignment=bytes(100)), 5


def _offset_commit() -> tuple[Message, Message, int]:
    asked = [
        offset_commit.OffsetCommitRequestPartition(partition_index=number, committed_offset=number * 1000)
        for number in range(50)
    ]
    answered = [offset_commit.OffsetCommitResponsePartition(partition_index=number) for number in range(50)]
    request = offset_commit.OffsetCommitRequest(
        group_id="orders",
        member_id=_MEMBER,
        topics=[offset_commit.OffsetCommitRequestTopic(name="orders", partitions=asked)],
    )
    response = offset_commit.OffsetCommitResponse(
        topics=[offset_commit.OffsetCommitResponseTopic(name="orders", partitions=answered)]
    )
    return request, response, 9


def _metadata() -> tuple[Message, Message, int]:
    partitions = [
        metadata.MetadataResponsePartition(
            partition_index=number, leader_id=1, replica_nodes=[1], isr_nodes=[1], offline_replicas=[]
        )
        for number in range(50)
    ]
    response = metadata.MetadataResponse(
        brokers=[metadata.MetadataResponseBroker(node_id=1, host="127.0.0.1", port=9092)],
        topics=[metadata.MetadataResponseTopic(name="orders", partitions=partitions)],
    )
    return metadata.MetadataRequest(topics=[metadata.MetadataRequestTopic(name="orders")]), response, 12


def _produce() -> tuple[Message, Message, int]:
    request = produce.ProduceRequest(
        acks=-1,
        timeout_ms=30_000,
        topic_data=[
            produce.TopicProduceData(
                name="orders", partition_data=[produce.PartitionProduceData(records=memoryview(_BATCH))]
            )
        ],
    )
    answered = produce.PartitionProduceResponse(base_offset=7)
    response = produce.ProduceResponse(
        responses=[produce.TopicProduceResponse(name="orders", partition_responses=[answered])]
    )
    return request, response, 9


def _fetch() -> tuple[Message, Message, int]:
    request = fetch.FetchRequest(
        max_wait_ms=500,
        min_bytes=1,
        topics=[
            fetch.FetchTopic(topic="orders", partitions=[fetch.FetchPartition(partition_max_bytes=1 << 20)])
        ],
    )
    response = fetch.FetchResponse(
        responses=[
            fetch.FetchableTopicResponse(
                topic="orders", partitions=[fetch.PartitionData(records=memoryview(_BATCH))]
            )
        ]
    )
    return request, response, 12


_CASES = (_heartbeat, _join_group, _sync_group, _offset_commit, _metadata, _produce, _fetch)


def _kio(message: Message, name: str, version: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """kio's reading and writing of the same bytes."""
    kind = type(message).__name__.removeprefix(name)
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    module = importlib.import_module(f"kio.schema.{snake}.v{version}.{kind.lower()}")
    entity: Any = getattr(module, type(message).__name__)
    read, write = entity_reader(entity), entity_writer(entity)
    data = encode(message, version)
    parsed, _ = read(data, 0)
    return (lambda: read(data, 0)), (lambda: write(io.BytesIO(), parsed))


def _own(message: Message, version: int) -> tuple[Callable[[], object], Callable[[], object]]:
    read, write = decoder(type(message), version), encoder(type(message), version)
    data = memoryview(encode(message, version))
    return (lambda: read(data, 0)), (lambda: write(message, []))


def _round(function: Callable[[], object], count: int) -> float:
    """Processor seconds of ``count`` calls."""
    start = time.process_time()
    for _ in range(count):
        function()
    return time.process_time() - start


def _measure(functions: list[Callable[[], object]], rounds: int) -> list[float]:
    """Median microseconds of one call of each, taking turns."""
    counts = [max(1, int(_ROUND_SECONDS / max(_round(each, 100) / 100, 1e-8))) for each in functions]
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(rounds):
        for each, count, seen in zip(functions, counts, times, strict=True):
            seen.append(_round(each, count) / count * 1e6)
    return [statistics.median(seen) for seen in times]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    print(f"{'':22}{'read request, us':>20}{'write response, us':>22}")
    print(f"{'':22}{'rota':>10}{'kio':>10}{'rota':>12}{'kio':>10}")
    for case in _CASES:
        request, response, version = case()
        name = APIS[request.api_key].name
        own_read, _ = _own(request, version)
        kio_read, _ = _kio(request, name, version)
        _, own_write = _own(response, version)
        _, kio_write = _kio(response, name, version)
        a, b, c, d = _measure([own_read, kio_read, own_write, kio_write], rounds)
        print(f"{f'{name} v{version}':22}{a:>10.2f}{b:>10.2f}{c:>12.2f}{d:>10.2f}")


if __name__ == "__main__":
    main()
