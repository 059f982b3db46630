"""Fetches of very many partitions: what they cost those who append to one of them, and what they are answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from tests.broker.raw import RawClient

from rota.broker.fairness import Fairness
from rota.model import ErrorCode
from rota.storage import Log
from rota.testing import Broker
from rota.wire.messages.create_topics import CreatableTopic, CreateTopicsRequest, CreateTopicsResponse
from rota.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse
from rota.wire.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from rota.wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from rota.wire.records import build_batch

_WIDTH = 300
_BATCH = bytes(build_batch([(None, bytes(50), 1000, [])]))


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker() as broker:
        yield broker


@pytest.fixture
def client(broker: Broker) -> Iterator[RawClient]:
    with RawClient(broker.bootstrap_servers) as client:
        yield client


@pytest.fixture
def other(broker: Broker) -> Iterator[RawClient]:
    with RawClient(broker.bootstrap_servers) as client:
        yield client


@pytest.fixture
def topic(client: RawClient, request: pytest.FixtureRequest) -> str:
    name = f"wide-{request.node.name[:60]}"
    new = CreatableTopic(name=name, num_partitions=_WIDTH, replication_factor=1)
    client.call(CreateTopicsRequest(topics=[new], timeout_ms=10_000), 5, CreateTopicsResponse)
    return name


def _fetch(topic: str, **options: int) -> FetchRequest:
    wanted = [FetchPartition(partition=number, partition_max_bytes=1 << 20) for number in range(_WIDTH)]
    request = FetchRequest(
        max_wait_ms=2**31 - 1, min_bytes=1, topics=[FetchTopic(topic=topic, partitions=wanted)]
    )
    for name, value in options.items():
        setattr(request, name, value)
    return request


def _produce(client: RawClient, topic: str, partition: int) -> None:
    data = PartitionProduceData(index=partition, records=_BATCH)
    request = ProduceRequest(
        acks=-1, timeout_ms=1000, topic_data=[TopicProduceData(name=topic, partition_data=[data])]
    )
    answer = client.call(request, 9, ProduceResponse)
    assert answer.responses[0].partition_responses[0].error_code == 0


def _sizes(answer: FetchResponse) -> dict[int, int]:
    return {each.partition_index: len(each.records or b"") for each in answer.responses[0].partitions}


def _waiting(broker: Broker) -> int:
    return broker._steered().call(lambda node: len(node.broker.fetch_waits._by_log))


def _wait_until_parked(broker: Broker) -> None:
    while _waiting(broker) < _WIDTH:  # the test's timeout is the limit
        pass


def test_an_append_has_its_own_partition_looked_at_and_no_other(
    broker: Broker, client: RawClient, other: RawClient, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.send(_fetch(topic, min_bytes=1 << 30), 11)
    _wait_until_parked(broker)
    looked_at: list[Log] = []
    read = Log.read

    def watched(self: Log, *where: Any, **how: Any) -> Any:
        looked_at.append(self)
        return read(self, *where, **how)

    monkeypatch.setattr(Log, "read", watched)
    for _ in range(20):
        _produce(other, topic, 7)
    assert 0 < len(looked_at) <= 20
    assert len(set(looked_at)) == 1


def test_it_is_answered_when_its_partitions_have_enough_together(
    broker: Broker, client: RawClient, other: RawClient, topic: str
) -> None:
    client.send(_fetch(topic, min_bytes=3 * len(_BATCH)), 11)
    _wait_until_parked(broker)
    for partition in (5, 250, 5):
        _produce(other, topic, partition)
    sizes = _sizes(client.receive(FetchResponse, 11))
    assert len(sizes) == _WIDTH
    assert {number: size for number, size in sizes.items() if size} == {5: 2 * len(_BATCH), 250: len(_BATCH)}
    assert not _waiting(broker)


def test_what_was_there_before_counts(
    broker: Broker, client: RawClient, other: RawClient, topic: str
) -> None:
    _produce(other, topic, 1)
    client.send(_fetch(topic, min_bytes=2 * len(_BATCH)), 11)
    _wait_until_parked(broker)
    _produce(other, topic, 299)
    sizes = _sizes(client.receive(FetchResponse, 11))
    assert {number for number, size in sizes.items() if size} == {1, 299}


def test_in_a_session_only_the_partitions_with_news_are_answered(
    broker: Broker, client: RawClient, other: RawClient, topic: str
) -> None:
    opened = client.call(_fetch(topic, max_wait_ms=0, session_epoch=0), 11, FetchResponse)
    again = FetchRequest(
        max_wait_ms=2**31 - 1, min_bytes=1, session_id=opened.session_id, session_epoch=1, topics=[]
    )
    client.send(again, 11)
    _wait_until_parked(broker)
    _produce(other, topic, 123)
    assert _sizes(client.receive(FetchResponse, 11)) == {123: len(_BATCH)}


def test_it_ends_when_its_topic_is_deleted(
    broker: Broker, client: RawClient, other: RawClient, topic: str
) -> None:
    client.send(_fetch(topic), 11)
    _wait_until_parked(broker)
    other.call(DeleteTopicsRequest(topic_names=[topic]), 3, DeleteTopicsResponse)
    answer = client.receive(FetchResponse, 11).responses[0].partitions
    assert {each.error_code for each in answer} == {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}


def test_no_room_for_another_batch_is_enough(client: RawClient, topic: str) -> None:
    """Whole batches seldom fill the room to the byte: who waits for as much as may come waited in vain."""
    for _ in range(3):
        _produce(client, topic, 0)
    room = 2 * len(_BATCH) + 10
    sizes = _sizes(client.call(_fetch(topic, min_bytes=room, max_bytes=room), 11, FetchResponse))
    assert sizes[0] == 2 * len(_BATCH)


def test_whoever_asks_for_many_pays_for_it(
    broker: Broker, other: RawClient, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    charged: list[str] = []
    charge = Fairness.charge

    def watched(self: Fairness, connection: Any, *times: Any) -> float:
        charged.append(connection.peer)
        return charge(self, connection, *times)

    monkeypatch.setattr(Fairness, "charge", watched)
    address = "{}:{}".format(*other.socket.getsockname())
    narrow = FetchPartition(partition=0, partition_max_bytes=1 << 20)
    for _ in range(2):  # a turn is over when the next one begins
        other.call(FetchRequest(topics=[FetchTopic(topic=topic, partitions=[narrow])]), 11, FetchResponse)
    assert address not in charged
    for _ in range(2):
        other.call(_fetch(topic, max_wait_ms=0), 11, FetchResponse)
    assert address in charged


def test_and_for_an_answer_that_came_later(
    broker: Broker, client: RawClient, other: RawClient, topic: str
) -> None:
    client.send(_fetch(topic), 11)
    _wait_until_parked(broker)
    waits = broker._steered().call(lambda node: next(iter(node.broker.fetch_waits._by_log.values())))
    (parked,) = waits
    _produce(other, topic, 0)
    client.receive(FetchResponse, 11)
    connection = cast(Any, parked)._request.connection
    assert broker._steered().call(lambda _: connection._owed_s) > 0
