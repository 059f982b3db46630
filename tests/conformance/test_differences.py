"""Where Rota's broker is not as Apache Kafka's, a test each.

It passes on Kafka and must fail on Rota, for the reason that its mark gives. The README's table names these and no
others.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator

import pytest
from tests.broker.like_kafka_groups import commit
from tests.broker.like_kafka_records import fetch, records
from tests.broker.raw import RawClient
from tests.broker.talk import Talk
from tests.broker.transactional_talk import Producer
from tests.brokers import BrokerUnderTest, new_broker

from rota.coordinator import partition_for
from rota.model import ErrorCode
from rota.wire.crc import crc32c
from rota.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from rota.wire.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)
from rota.wire.messages.create_topics import CreatableTopic, CreateTopicsRequest, CreateTopicsResponse
from rota.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse, DeleteTopicState
from rota.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResponse,
)
from rota.wire.messages.fetch import FetchResponse
from rota.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from rota.wire.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from rota.wire.messages.offset_commit import OffsetCommitResponse
from rota.wire.messages.produce import ProduceResponse
from rota.wire.records import HEADER_SIZE, build_batch, iter_batches, iter_records

OFFSETS_TOPIC, TRANSACTIONS_TOPIC = "__consumer_offsets", "__transaction_state"
_TOPIC, _BROKER, _LOGGER, _CLIENT_METRICS = 2, 4, 8, 16


@pytest.fixture
def talk(broker: BrokerUnderTest) -> Iterator[Talk]:
    with RawClient(broker.bootstrap_servers) as client:
        yield Talk(client, f"differs-{uuid.uuid4().hex[:8]}", broker.bootstrap_servers)


NOT_THERE = {
    "share groups": {76, 77, 78, 79, 90, 91, 92},
    "SASL and its users": {17, 36, 50, 51},
    "delegation tokens": {38, 39, 40, 41},
    "quotas": {48, 49},
    "moving partitions between directories": {34},
    "changing features, brokers and voters": {57, 64, 80, 81},
}


@pytest.mark.parametrize(
    "keys",
    [pytest.param(keys, id=words, marks=pytest.mark.difference(words)) for words, keys in NOT_THERE.items()],
)
def test_its_apis_are_there(talk: Talk, keys: set[int]) -> None:
    request = ApiVersionsRequest(client_software_name="raw", client_software_version="1")
    answer = talk.client.call(request, 4, ApiVersionsResponse)
    assert keys <= {api.api_key for api in answer.api_keys}


@pytest.mark.difference("levels of the broker's loggers")
def test_the_brokers_loggers_are_described(talk: Talk) -> None:
    resource = DescribeConfigsResource(resource_type=_LOGGER, resource_name="1", configuration_keys=None)
    answer = talk.client.call(DescribeConfigsRequest(resources=[resource]), 4, DescribeConfigsResponse)
    assert answer.results[0].error_code == 0


@pytest.mark.difference("client metrics")
def test_client_metrics_are_subscribed_to(talk: Talk) -> None:
    step = AlterableConfig(name="interval.ms", config_operation=0, value="1000")
    resource = AlterConfigsResource(resource_type=_CLIENT_METRICS, resource_name="m", configs=[step])
    request = IncrementalAlterConfigsRequest(resources=[resource], validate_only=True)
    answer = talk.client.call(request, 1, IncrementalAlterConfigsResponse)
    assert answer.responses[0].error_code == 0


@pytest.mark.difference("members of both protocols in one group (migration without an outage)")
def test_a_member_of_the_new_protocol_joins_a_classic_group(talk: Talk) -> None:
    talk.coordinator(talk.name)
    nothing_yet = struct.pack(">hii", 0, 0, -1)
    talk.member(talk.name, assignment=nothing_yet)
    hello = ConsumerGroupHeartbeatRequest(
        group_id=talk.name,
        member_id="newcomer",
        rebalance_timeout_ms=10_000,
        subscribed_topic_names=["t"],
        topic_partitions=[],
    )
    assert talk.client.call(hello, 1, ConsumerGroupHeartbeatResponse).error_code == 0


@pytest.mark.difference("a topic that is created because a client asked for it is there in the first answer")
def test_a_topic_that_is_created_by_being_asked_for(talk: Talk) -> None:
    ask = MetadataRequest(topics=[MetadataRequestTopic(name=talk.name)])
    answer = talk.client.call(ask, 12, MetadataResponse)
    assert answer.topics[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


@pytest.mark.difference("`__consumer_offsets` and `__transaction_state` cannot be deleted")
def test_the_brokers_own_topics_are_deleted(broker_kind: str) -> None:
    with new_broker(broker_kind) as broker, RawClient(broker.bootstrap_servers) as client:
        talk = Talk(client, "differs", broker.bootstrap_servers)
        talk.coordinator("g")
        Producer(talk).init()
        topics = [DeleteTopicState(name=name) for name in (OFFSETS_TOPIC, TRANSACTIONS_TOPIC)]
        ask = DeleteTopicsRequest(topics=topics, timeout_ms=10_000)
        answers = client.call(ask, 6, DeleteTopicsResponse).responses
        assert {each.error_code for each in answers} == {0}


@pytest.mark.difference(
    "of two names that differ in `.` and `_` alone, created in one request, the second is refused"
)
def test_two_names_that_collide(talk: Talk) -> None:
    names = [f"{talk.name}.a", f"{talk.name}_a"]
    topics = [CreatableTopic(name=name, num_partitions=1, replication_factor=1) for name in names]
    answer = talk.client.call(CreateTopicsRequest(topics=topics), 5, CreateTopicsResponse)
    assert [each.error_code for each in answer.topics] == [0, 0]


@pytest.mark.difference("what a DescribeConfigs names twice is answered once")
def test_a_resource_that_is_named_twice(talk: Talk) -> None:
    name = talk.topic()
    resource = DescribeConfigsResource(resource_type=_TOPIC, resource_name=name, configuration_keys=None)
    answer = talk.client.call(DescribeConfigsRequest(resources=[resource] * 2), 4, DescribeConfigsResponse)
    assert len(answer.results) == 2


@pytest.mark.difference("to set a broker config that nobody knows is an error")
def test_a_broker_config_that_nobody_knows(talk: Talk) -> None:
    step = AlterableConfig(name="nonsense", config_operation=0, value="1")
    resource = AlterConfigsResource(resource_type=_BROKER, resource_name="1", configs=[step])
    request = IncrementalAlterConfigsRequest(resources=[resource], validate_only=True)
    answer = talk.client.call(request, 1, IncrementalAlterConfigsResponse)
    assert answer.responses[0].error_code == 0


@pytest.mark.difference("committed offsets are recorded in version 3 of their format, not 4")
def test_the_version_of_a_committed_offset(talk: Talk) -> None:
    topic = talk.topic()
    talk.coordinator(talk.name)
    done = talk.client.call(commit(talk.name, topic, -1, ""), 9, OffsetCommitResponse)
    assert done.topics[0].partitions[0].error_code == 0
    ask = fetch(OFFSETS_TOPIC, bytes(16), partition=partition_for(talk.name, 50))
    answer = talk.client.call(ask, 12, FetchResponse).responses[0].partitions[0]
    found = [
        struct.unpack_from(">h", record.value)[0]
        for position, _ in iter_batches(answer.records)
        for record in iter_records(answer.records, position)
        if record.value and talk.name.encode() in (record.key or b"")
    ]
    assert found == [4]


@pytest.mark.difference(
    "records inside a compressed batch are looked at when they are read, not when they are written"
)
def test_a_compressed_batch_with_nonsense_inside(talk: Talk) -> None:
    name = talk.topic()
    batch = build_batch([(b"k", b"v" * 200, 1_000, [])], compression="gzip")
    batch[HEADER_SIZE + 10 :] = bytes(len(batch) - HEADER_SIZE - 10)
    struct.pack_into(">I", batch, 17, crc32c(memoryview(batch)[21:]))
    answer = talk.client.call(records(name, bytes(batch)), 9, ProduceResponse)
    assert answer.responses[0].partition_responses[0].error_code != 0
