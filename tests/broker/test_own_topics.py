"""What clients do to the broker's own topic, and what one client's fetches do to others."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from tests.broker.raw import RawClient
from tests.broker.talk import Talk, join
from tests.kafka.ports import wait_until

from rota.broker.event_lines import event_line
from rota.broker.fairness import Fairness
from rota.broker.loop import Loop
from rota.broker.timers import Timers
from rota.model import ErrorCode
from rota.testing import Broker
from rota.timeline.events import MemberJoined, RebalanceCompleted
from rota.wire.messages.create_topics import CreatableTopic, CreateTopicsRequest, CreateTopicsResponse
from rota.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse
from rota.wire.messages.describe_groups import DescribeGroupsRequest, DescribeGroupsResponse
from rota.wire.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from rota.wire.messages.join_group import JoinGroupResponse
from rota.wire.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from rota.wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from rota.wire.records import build_batch

OFFSETS = "__consumer_offsets"


def _produce(client: RawClient, topic: str, key: bytes = b"g") -> int:
    batch = bytes(build_batch([(key, b"value", 1000, [])]))
    data = TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=0, records=batch)])
    request = ProduceRequest(transactional_id=None, acks=-1, timeout_ms=1000, topic_data=[data])
    return client.call(request, 9, ProduceResponse).responses[0].partition_responses[0].error_code


def _create(client: RawClient, name: str) -> tuple[int, bytes]:
    request = CreateTopicsRequest(topics=[CreatableTopic(name=name, num_partitions=1, replication_factor=1)])
    topic = client.call(request, 7, CreateTopicsResponse).topics[0]
    return topic.error_code, topic.topic_id


def _metadata(client: RawClient, name: str) -> MetadataResponse:
    request = MetadataRequest(topics=[MetadataRequestTopic(name=name)], allow_auto_topic_creation=True)
    return client.call(request, 9, MetadataResponse)


def test_clients_cannot_write_to_the_offsets_topic(broker: Broker) -> None:
    with RawClient(broker.bootstrap_servers) as client:
        _metadata(client, OFFSETS)
        assert _produce(client, OFFSETS) == ErrorCode.INVALID_TOPIC_EXCEPTION


def test_a_record_nobody_can_read_does_not_keep_the_broker_from_starting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        Broker(data_dir=tmp_path) as first,
        RawClient(first.bootstrap_servers, client_id="__admin_client") as client,
    ):
        _metadata(client, OFFSETS)
        assert _produce(client, OFFSETS) == ErrorCode.NONE
    with caplog.at_level(logging.ERROR):
        again = Broker(data_dir=tmp_path).start()
    with RawClient(again.bootstrap_servers) as client:
        _metadata(client, "anything")
    again.stop()
    assert "__consumer_offsets-0, batch at offset 0" in caplog.text


@pytest.mark.parametrize("how", ["metadata", "create"])
def test_whoever_asks_first_the_offsets_topic_is_made_as_groups_need_it(how: str) -> None:
    with Broker() as broker, RawClient(broker.bootstrap_servers) as client:
        if how == "create":
            assert _create(client, OFFSETS)[0] == ErrorCode.TOPIC_ALREADY_EXISTS
        else:
            topic = _metadata(client, OFFSETS).topics[0]
            assert (topic.error_code, topic.is_internal) == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, True)
        topic = _metadata(client, OFFSETS).topics[0]
        assert (topic.error_code, len(topic.partitions), topic.is_internal) == (0, 50, True)


def test_with_the_offsets_topic_all_groups_are_gone(tmp_path: Path) -> None:
    """Who waits in a rebalance is told to look for a coordinator; nothing of it comes back, also not by a restart."""
    settings = {"group.initial.rebalance.delay.ms": "600000"}
    with (
        Broker(settings, data_dir=tmp_path, prompt_heartbeats=False) as broker,
        RawClient(broker.bootstrap_servers) as waiting,
        RawClient(broker.bootstrap_servers) as other,
    ):
        talk = Talk(waiting, "own", broker.bootstrap_servers)
        talk.coordinator("g")
        joining = join("g")
        joining.member_id = waiting.call(joining, 5, JoinGroupResponse).member_id
        waiting.send(joining, 5)
        describe = DescribeGroupsRequest(groups=["g"])
        wait_until(
            "the member waits",
            lambda: other.call(describe, 5, DescribeGroupsResponse).groups[0].members,
        )
        gone = other.call(DeleteTopicsRequest(topic_names=[OFFSETS]), 3, DeleteTopicsResponse)
        assert gone.responses[0].error_code == ErrorCode.NONE
        assert waiting.receive(JoinGroupResponse, 5).error_code == ErrorCode.NOT_COORDINATOR
        assert other.call(describe, 5, DescribeGroupsResponse).groups[0].group_state == "Dead"
        broker.advance_clock(3_600_000)
        topics = other.call(MetadataRequest(topics=None), 9, MetadataResponse).topics
        assert not topics, "nothing that was due has made it anew"
        talk.coordinator("g")
    with Broker(data_dir=tmp_path) as again, RawClient(again.bootstrap_servers) as client:
        assert client.call(describe, 5, DescribeGroupsResponse).groups[0].group_state == "Dead"


def test_a_session_by_id_never_serves_a_later_topic_of_the_same_name(broker: Broker) -> None:
    with RawClient(broker.bootstrap_servers) as client:
        _, first_id = _create(client, "reborn")
        wanted = FetchPartition(partition=0, partition_max_bytes=1 << 20)
        opening = FetchRequest(session_epoch=0, topics=[FetchTopic(topic_id=first_id, partitions=[wanted])])
        session = client.call(opening, 13, FetchResponse).session_id
        client.call(DeleteTopicsRequest(topic_names=["reborn"]), 3, DeleteTopicsResponse)
        _create(client, "reborn")
        assert _produce(client, "reborn") == ErrorCode.NONE
        following = FetchRequest(session_id=session, session_epoch=1)
        told = client.call(following, 13, FetchResponse).responses[0]
        assert told.topic_id == first_id
        assert told.partitions[0].error_code == ErrorCode.UNKNOWN_TOPIC_ID


def test_a_waiting_fetch_is_forgotten_with_its_client(broker: Broker) -> None:
    with RawClient(broker.bootstrap_servers) as other:
        _create(other, "patient")
        clients = [RawClient(broker.bootstrap_servers) for _ in range(20)]
        wanted = FetchPartition(partition=0, partition_max_bytes=1 << 20)
        topics = [FetchTopic(topic="patient", partitions=[wanted])]
        for client in clients:
            client.send(FetchRequest(max_wait_ms=2**31 - 1, min_bytes=1, topics=topics), 11)
        for client in clients:
            client.socket.close()
        waiting = broker._steered().call(lambda node: node.broker.fetch_waits._by_log)
        while waiting:  # ends when the broker has noticed that they are gone; the test's timeout is the limit
            _metadata(other, "patient")


def test_a_partition_named_often_is_fetched_once(broker: Broker) -> None:
    with RawClient(broker.bootstrap_servers) as client:
        _create(client, "often")
        _produce(client, "often")
        wanted = [FetchPartition(partition=0, partition_max_bytes=1 << 20) for _ in range(50)]
        request = FetchRequest(topics=[FetchTopic(topic="often", partitions=wanted)])
        assert len(client.call(request, 11, FetchResponse).responses[0].partitions) == 1


def test_fetches_of_what_is_not_there_count_as_asking_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session can remember very many of them, and then ask again and again by a few bytes."""
    charged: list[object] = []
    charge = Fairness.charge

    def watched(self: Fairness, connection: Any, *times: Any) -> float:
        charged.append(connection.peer)
        return charge(self, connection, *times)

    with Broker() as broker, RawClient(broker.bootstrap_servers) as client:
        _create(client, "there")
        with RawClient(broker.bootstrap_servers) as fetching:
            wanted = FetchPartition(partition=0, partition_max_bytes=1 << 20)
            address = "{}:{}".format(*fetching.socket.getsockname())
            monkeypatch.setattr(Fairness, "charge", watched)
            for topic in ("there", "nowhere"):
                assert address not in charged
                request = FetchRequest(topics=[FetchTopic(topic=topic, partitions=[wanted])], max_wait_ms=0)
                fetching.call(request, 11, FetchResponse)
                fetching.call(request, 11, FetchResponse)
        assert address in charged


def test_a_callback_that_fails_does_not_hold_up_the_others() -> None:
    loop = Loop()
    timers = Timers(loop, lambda: 1000)
    called: list[str] = []

    def fail() -> None:
        raise RuntimeError("on purpose")

    timers.set("first", 500, fail)
    timers.set("second", 600, lambda: called.append("second"))
    timers.run_due()
    assert called == ["second"]
    timers.close()
    loop.close()


def test_what_clients_call_themselves_cannot_forge_a_log_line() -> None:
    event = MemberJoined(
        at_ms=0,
        group="g\n12:00 ERROR all is lost\x1b[31m",
        member="m",
        client_id="c",
        host="/h",
        instance_id=None,
    )
    line = event_line(event)
    assert line is not None
    assert line.isprintable()
    assert "g\\n12:00" in line


def test_an_empty_group_is_said_to_be_empty() -> None:
    event = RebalanceCompleted(at_ms=0, group="g", generation=4, protocol="", leader="", assignment={})
    assert event_line(event) == "group g: generation 4 has no members: the group is empty"
