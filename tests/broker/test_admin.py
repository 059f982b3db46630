"""What administrators ask for, and what they are told when it cannot be."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest
from tests.broker.raw import RawClient

from rota.model import ErrorCode
from rota.testing import Broker
from rota.wire.codec import decode
from rota.wire.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
    ReassignablePartition,
    ReassignableTopic,
)
from rota.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from rota.wire.messages.create_acls import AclCreation, CreateAclsRequest, CreateAclsResponse
from rota.wire.messages.create_partitions import (
    CreatePartitionsAssignment,
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
)
from rota.wire.messages.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from rota.wire.messages.delete_acls import DeleteAclsFilter, DeleteAclsRequest, DeleteAclsResponse
from rota.wire.messages.delete_topics import (
    DeletableTopicResult,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from rota.wire.messages.describe_acls import DescribeAclsRequest, DescribeAclsResponse
from rota.wire.messages.describe_cluster import DescribeClusterRequest, DescribeClusterResponse
from rota.wire.messages.describe_log_dirs import (
    DescribableLogDirTopic,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
)
from rota.wire.messages.describe_producers import (
    DescribeProducersRequest,
    DescribeProducersResponse,
)
from rota.wire.messages.describe_producers import TopicRequest as ProducersTopic
from rota.wire.messages.describe_topic_partitions import (
    Cursor,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    TopicRequest,
)
from rota.wire.messages.elect_leaders import ElectLeadersRequest, ElectLeadersResponse, TopicPartitions
from rota.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from rota.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from rota.wire.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
)
from rota.wire.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from rota.wire.messages.offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from rota.wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from rota.wire.records import build_batch

NewTopic = Callable[..., str]
E = ErrorCode


# --- topics ---------------------------------------------------------------------------------------------------


def create(client: RawClient, *topics: CreatableTopic, **options: Any) -> list[CreatableTopicResult]:
    return client.call(CreateTopicsRequest(topics=list(topics), **options), 7, CreateTopicsResponse).topics


def replicas(*assignments: tuple[int, list[int]]) -> list[CreatableReplicaAssignment]:
    return [CreatableReplicaAssignment(partition_index=index, broker_ids=ids) for index, ids in assignments]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"name": ""}, E.INVALID_TOPIC_EXCEPTION),
        ({"name": ".."}, E.INVALID_TOPIC_EXCEPTION),
        ({"name": "a b"}, E.INVALID_TOPIC_EXCEPTION),
        ({"name": "x" * 250}, E.INVALID_TOPIC_EXCEPTION),
        ({"num_partitions": 0}, E.INVALID_PARTITIONS),
        ({"num_partitions": -2}, E.INVALID_PARTITIONS),
        ({"num_partitions": 2_000_000}, E.POLICY_VIOLATION),
        ({"replication_factor": 2}, E.INVALID_REPLICATION_FACTOR),
        ({"replication_factor": 0}, E.INVALID_REPLICATION_FACTOR),
        ({"configs": [CreatableTopicConfig(name="retention", value="1")]}, E.INVALID_CONFIG),
        ({"configs": [CreatableTopicConfig(name="retention.ms", value=None)]}, E.INVALID_CONFIG),
        ({"configs": [CreatableTopicConfig(name="retention.ms", value="x")]}, E.INVALID_CONFIG),
        ({"assignments": replicas((0, [1]))}, E.INVALID_REQUEST),
        (
            {"assignments": replicas((1, [1])), "num_partitions": -1, "replication_factor": -1},
            E.INVALID_REPLICA_ASSIGNMENT,
        ),
        (
            {"assignments": replicas((0, [2])), "num_partitions": -1, "replication_factor": -1},
            E.INVALID_REPLICA_ASSIGNMENT,
        ),
    ],
)
def test_topics_that_cannot_be_created(client: RawClient, given: dict[str, Any], code: ErrorCode) -> None:
    """Each is refused with a reason, and is not there afterwards."""
    wanted = CreatableTopic(**{"name": "refused", "num_partitions": 1, "replication_factor": 1, **given})
    (result,) = create(client, wanted)
    assert result.error_code == code
    assert result.error_message
    asked = MetadataRequest(topics=None)
    assert "refused" not in {topic.name for topic in client.call(asked, 12, MetadataResponse).topics}


def test_topics_are_created_as_asked(client: RawClient) -> None:
    """By count, by assignment, with the defaults; only validated; named twice; taken; too much alike."""
    assigned = replicas((1, [1]), (0, [1]))
    results = create(
        client,
        CreatableTopic(name="made.by-count", num_partitions=3, replication_factor=1),
        CreatableTopic(name="made-assigned", num_partitions=-1, replication_factor=-1, assignments=assigned),
        CreatableTopic(name="made-default", num_partitions=-1, replication_factor=-1),
    )
    assert [(each.error_code, each.num_partitions) for each in results] == [(0, 3), (0, 2), (0, 1)]
    assert all(each.topic_id != bytes(16) for each in results)
    taken = CreatableTopic(name="made.by-count", num_partitions=1, replication_factor=1)
    alike = CreatableTopic(name="made_by-count", num_partitions=1, replication_factor=1)
    assert [each.error_code for each in create(client, taken, alike)] == [
        E.TOPIC_ALREADY_EXISTS,
        E.INVALID_TOPIC_EXCEPTION,
    ]
    twice = CreatableTopic(name="twice", num_partitions=1, replication_factor=1)
    assert [each.error_code for each in create(client, twice, twice)] == [E.INVALID_REQUEST]
    assert create(client, twice, validate_only=True)[0].error_code == 0
    assert create(client, twice)[0].error_code == 0


def delete(client: RawClient, *topics: tuple[str | None, bytes]) -> list[DeletableTopicResult]:
    states = [DeleteTopicState(name=name, topic_id=topic_id) for name, topic_id in topics]
    return client.call(DeleteTopicsRequest(topics=states), 6, DeleteTopicsResponse).responses


def test_topics_are_deleted_by_name_or_by_id(client: RawClient, new_topic: NewTopic) -> None:
    """And each thing that is wrong with the request has its code."""
    named, by_id = new_topic(), new_topic()
    asked = MetadataRequest(topics=[MetadataRequestTopic(name=by_id)])
    found = client.call(asked, 12, MetadataResponse).topics[0].topic_id
    results = delete(client, (named, bytes(16)), (None, found))
    assert [(each.error_code, each.name) for each in results] == [(0, named), (0, by_id)]
    results = delete(client, (named, bytes(16)), (None, found), (None, bytes(16)), ("x", found))
    assert [each.error_code for each in results] == [
        E.UNKNOWN_TOPIC_OR_PARTITION,
        E.UNKNOWN_TOPIC_ID,
        E.INVALID_REQUEST,
        E.INVALID_REQUEST,
    ]
    results = delete(client, ("x", bytes(16)), ("x", bytes(16)))
    assert [each.error_code for each in results] == [E.INVALID_REQUEST]
    client.call(FindCoordinatorRequest(key_type=0, key="g"), 3, FindCoordinatorResponse)
    assert delete(client, ("__consumer_offsets", bytes(16)))[0].error_code == E.NONE  # as in Kafka


def test_deletion_and_creation_by_asking_can_be_switched_off() -> None:
    """delete.topic.enable=false and auto.create.topics.enable=false."""
    configs = {"delete.topic.enable": "false", "auto.create.topics.enable": "false"}
    with Broker(configs) as broker, RawClient(broker.bootstrap_servers) as client:
        create(client, CreatableTopic(name="kept", num_partitions=1, replication_factor=1))
        assert delete(client, ("kept", bytes(16)))[0].error_code == E.TOPIC_DELETION_DISABLED
        asked = MetadataRequest(topics=[MetadataRequestTopic(name="auto")])
        found = client.call(asked, 12, MetadataResponse).topics[0]
        assert found.error_code == E.UNKNOWN_TOPIC_OR_PARTITION


def test_partitions_are_added(client: RawClient, new_topic: NewTopic) -> None:
    """Only more, only on this node, never to an internal topic."""
    topic = new_topic(2)
    client.call(FindCoordinatorRequest(key_type=0, key="g"), 3, FindCoordinatorResponse)

    def add(*wanted: tuple[str, int, list[list[int]] | None], **options: Any) -> list[int]:
        topics = [
            CreatePartitionsTopic(
                name=name,
                count=count,
                assignments=None
                if nodes is None
                else [CreatePartitionsAssignment(broker_ids=each) for each in nodes],
            )
            for name, count, nodes in wanted
        ]
        request = CreatePartitionsRequest(topics=topics, **options)
        return [each.error_code for each in client.call(request, 3, CreatePartitionsResponse).results]

    assert add((topic, 2, None), ("nosuch", 5, None), ("__consumer_offsets", 60, None)) == [
        E.INVALID_PARTITIONS,
        E.UNKNOWN_TOPIC_OR_PARTITION,
        E.INVALID_REQUEST,
    ]
    assert add((topic, 3, None), (topic, 4, None)) == [E.INVALID_REQUEST]
    assert add((topic, 2_000_000, None)) == [E.INVALID_PARTITIONS]
    assert add((topic, 3, [[2]])) == add((topic, 3, [[1], [1]])) == [E.INVALID_REPLICA_ASSIGNMENT]
    assert add((topic, 3, None), validate_only=True) == [0]
    assert add((topic, 3, [[1]])) == [0]
    assert add((topic, 5, None)) == [0]
    asked = MetadataRequest(topics=[MetadataRequestTopic(name=topic)])
    assert len(client.call(asked, 12, MetadataResponse).topics[0].partitions) == 5


def test_metadata_by_id_and_with_what_is_allowed(client: RawClient, new_topic: NewTopic) -> None:
    """Ids that are not known, the old version's empty list, authorized operations."""
    topic = new_topic()
    unknown = MetadataRequest(topics=[MetadataRequestTopic(name=None, topic_id=b"\x01" * 16)])
    assert client.call(unknown, 12, MetadataResponse).topics[0].error_code == E.UNKNOWN_TOPIC_ID
    assert topic in {
        each.name for each in client.call(MetadataRequest(topics=[]), 0, MetadataResponse).topics
    }
    allowed = MetadataRequest(
        topics=[MetadataRequestTopic(name=topic)],
        include_topic_authorized_operations=True,
        include_cluster_authorized_operations=True,
    )
    answer = client.call(allowed, 9, MetadataResponse)
    assert answer.cluster_authorized_operations > 0
    (found,) = answer.topics
    assert found.topic_authorized_operations > 0
    topic_id = client.call(allowed, 12, MetadataResponse).topics[0].topic_id
    by_id = MetadataRequest(topics=[MetadataRequestTopic(name=None, topic_id=topic_id)])
    assert [each.name for each in client.call(by_id, 12, MetadataResponse).topics] == [topic]
    nameless = MetadataRequest(topics=[MetadataRequestTopic(name=None)])
    for request, version in ((nameless, 13), (nameless, 10), (unknown, 10), (unknown, 11)):
        (refused,) = client.call(request, version, MetadataResponse).topics
        assert refused.error_code == E.INVALID_REQUEST
    bad = MetadataRequest(topics=[MetadataRequestTopic(name="a b")])
    assert client.call(bad, 12, MetadataResponse).topics[0].error_code == E.INVALID_TOPIC_EXCEPTION


@pytest.mark.parametrize("limit", [-1, 0, 1, 2, 3, 100])
def test_topics_page_by_page(client: RawClient, new_topic: NewTopic, limit: int) -> None:
    """DescribeTopicPartitions: the cursor of an answer leads to the next one, through all partitions."""
    first, second = sorted([new_topic(3), new_topic(3)])
    names = [TopicRequest(name=each) for each in (first, second, "nosuch", "a b")]
    seen: list[tuple[str | None, int]] = []
    errors: dict[str | None, int] = {}
    cursor: Cursor | None = None
    for _ in range(20):
        request = DescribeTopicPartitionsRequest(topics=names, response_partition_limit=limit, cursor=cursor)
        answer = client.call(request, 0, DescribeTopicPartitionsResponse)
        for topic in answer.topics:
            errors[topic.name] = topic.error_code
            seen += [(topic.name, each.partition_index) for each in topic.partitions]
        if answer.next_cursor is None:
            break
        following = answer.next_cursor
        cursor = Cursor(topic_name=following.topic_name, partition_index=following.partition_index)
    assert seen == [(name, index) for name in (first, second) for index in range(3)]
    assert errors == {
        first: 0,
        second: 0,
        "nosuch": E.UNKNOWN_TOPIC_OR_PARTITION,
        "a b": E.INVALID_TOPIC_EXCEPTION,
    }
    everything = client.call(DescribeTopicPartitionsRequest(), 0, DescribeTopicPartitionsResponse)
    assert {first, second} <= {each.name for each in everything.topics}


# --- the cluster ----------------------------------------------------------------------------------------------


def test_acls_are_not_kept(client: RawClient) -> None:
    """There is no authorizer: SECURITY_DISABLED, as Kafka answers without one."""
    described = client.call(DescribeAclsRequest(), 3, DescribeAclsResponse)
    assert described.error_code == E.SECURITY_DISABLED
    created = client.call(CreateAclsRequest(creations=[AclCreation()] * 2), 3, CreateAclsResponse)
    assert [each.error_code for each in created.results] == [E.SECURITY_DISABLED] * 2
    deleted = client.call(DeleteAclsRequest(filters=[DeleteAclsFilter()]), 3, DeleteAclsResponse)
    assert [each.error_code for each in deleted.filter_results] == [E.SECURITY_DISABLED]


def test_the_cluster_is_described(client: RawClient) -> None:
    """One node, the controller of itself; other kinds of endpoints are refused."""
    request = DescribeClusterRequest(include_cluster_authorized_operations=True, endpoint_type=1)
    answer = client.call(request, 2, DescribeClusterResponse)
    assert [(each.broker_id, each.host) for each in answer.brokers] == [(1, "127.0.0.1")]
    assert (answer.controller_id, bool(answer.cluster_id)) == (1, True)
    assert answer.cluster_authorized_operations > 0
    for kind, code in ((2, E.MISMATCHED_ENDPOINT_TYPE), (3, E.UNSUPPORTED_ENDPOINT_TYPE)):
        request = DescribeClusterRequest(endpoint_type=kind)
        assert client.call(request, 1, DescribeClusterResponse).error_code == code


def test_leaders_and_replicas_stay_where_they_are(client: RawClient, new_topic: NewTopic) -> None:
    """One node leads everything: elections are not needed, reassignments have nowhere to go."""
    topic = new_topic()
    named = [TopicPartitions(topic=topic, partitions=[0, 1])]
    elected = client.call(ElectLeadersRequest(topic_partitions=named), 2, ElectLeadersResponse)
    assert [each.error_code for each in elected.replica_election_results[0].partition_result] == [
        E.ELECTION_NOT_NEEDED,
        E.UNKNOWN_TOPIC_OR_PARTITION,
    ]
    everything = client.call(ElectLeadersRequest(topic_partitions=None), 2, ElectLeadersResponse)
    assert everything.replica_election_results == []
    for replica_ids, index, code in (
        ([1], 0, 0),
        ([2], 0, E.INVALID_REPLICA_ASSIGNMENT),
        (None, 0, E.NO_REASSIGNMENT_IN_PROGRESS),
        ([1], 5, E.UNKNOWN_TOPIC_OR_PARTITION),
    ):
        partition = ReassignablePartition(partition_index=index, replicas=replica_ids)
        moved = AlterPartitionReassignmentsRequest(
            topics=[ReassignableTopic(name=topic, partitions=[partition])]
        )
        answer = client.call(moved, 1, AlterPartitionReassignmentsResponse)
        assert answer.responses[0].partitions[0].error_code == code
    listed = client.call(
        ListPartitionReassignmentsRequest(topics=None), 0, ListPartitionReassignmentsResponse
    )
    assert listed.topics == []


def test_log_directories(client: RawClient, new_topic: NewTopic) -> None:
    """Sizes of all partitions or of those asked for."""
    topic = new_topic(2)

    def sizes(topics: list[DescribableLogDirTopic] | None) -> dict[tuple[str, int], int]:
        (found,) = client.call(DescribeLogDirsRequest(topics=topics), 4, DescribeLogDirsResponse).results
        assert found.error_code == 0
        return {
            (each.name, part.partition_index): part.partition_size
            for each in found.topics
            for part in each.partitions
        }

    assert (topic, 1) in sizes(None)
    assert sizes([DescribableLogDirTopic(topic=topic, partitions=[1, 7])]) == {(topic, 1): 0}


def test_producers_of_a_partition(client: RawClient, new_topic: NewTopic) -> None:
    """The idempotent ones that the partition remembers."""
    topic = new_topic()
    batch = bytes(build_batch([(None, b"v", 1000, [])], producer_id=4242, producer_epoch=3, base_sequence=0))
    data = [TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=0, records=batch)])]
    client.call(ProduceRequest(acks=-1, timeout_ms=1000, topic_data=data), 9, ProduceResponse)
    request = DescribeProducersRequest(topics=[ProducersTopic(name=topic, partition_indexes=[0, 9])])
    found, missing = client.call(request, 0, DescribeProducersResponse).topics[0].partitions
    (producer,) = found.active_producers
    assert (producer.producer_id, producer.producer_epoch, producer.last_sequence) == (4242, 3, 0)
    assert missing.error_code == E.UNKNOWN_TOPIC_OR_PARTITION


def test_where_leader_epochs_end(client: RawClient, new_topic: NewTopic) -> None:
    """There is epoch 0; a client that knows of a later one knows more than the broker."""
    topic = new_topic()
    wanted = [
        OffsetForLeaderPartition(partition=0, current_leader_epoch=-1, leader_epoch=0),
        OffsetForLeaderPartition(partition=0, current_leader_epoch=3, leader_epoch=0),
        OffsetForLeaderPartition(partition=8, current_leader_epoch=-1, leader_epoch=0),
    ]
    request = OffsetForLeaderEpochRequest(topics=[OffsetForLeaderTopic(topic=topic, partitions=wanted)])
    answers = client.call(request, 4, OffsetForLeaderEpochResponse).topics[0].partitions
    assert [(each.error_code, each.end_offset) for each in answers] == [
        (0, 0),
        (E.UNKNOWN_LEADER_EPOCH, -1),
        (E.UNKNOWN_TOPIC_OR_PARTITION, -1),
    ]


@pytest.mark.parametrize(("name", "version"), [("", "1"), ("-librdkafka", "1"), ("a b", "1"), ("a", "1.")])
def test_a_bad_name_of_the_clients_software(client: RawClient, name: str, version: str) -> None:
    """INVALID_REQUEST (KIP-511), and the connection goes on."""
    request = ApiVersionsRequest(client_software_name=name, client_software_version=version)
    assert client.call(request, 3, ApiVersionsResponse).error_code == E.INVALID_REQUEST
    good = ApiVersionsRequest(client_software_name="apache-kafka-java", client_software_version="4.1.0")
    answer = client.call(good, 4, ApiVersionsResponse)
    assert answer.error_code == 0
    assert {0, 1, 11, 18, 75} <= {each.api_key for each in answer.api_keys}


def test_api_versions_in_an_unknown_version(client: RawClient) -> None:
    """Answered in version 0 with error 35 and the range of ApiVersions itself (KIP-511)."""
    client.socket.sendall(struct.pack(">ihhih", 10, 18, 99, 5, -1))
    answer = decode(ApiVersionsResponse, 0, client.receive_frame()[4:])
    assert answer.error_code == E.UNSUPPORTED_VERSION
    assert [(each.api_key, each.min_version, each.max_version) for each in answer.api_keys] == [(18, 0, 4)]


def test_the_coordinator_of_groups_is_this_node(client: RawClient) -> None:
    """One by one in the old versions, many at once in the new ones."""
    many = FindCoordinatorRequest(key_type=0, coordinator_keys=["g", "h"])
    answers = client.call(many, 4, FindCoordinatorResponse).coordinators
    assert [(each.key, each.node_id, each.error_code) for each in answers] == [("g", 1, 0), ("h", 1, 0)]
    one = client.call(FindCoordinatorRequest(key_type=0, key="g"), 3, FindCoordinatorResponse)
    assert (one.node_id, one.error_code) == (1, 0)


@pytest.mark.parametrize(
    ("timestamp", "version", "epoch", "code"),
    [
        (-1, 7, 0, 0),
        (-1, 7, 1, E.UNKNOWN_LEADER_EPOCH),
        (-3, 6, -1, E.UNSUPPORTED_VERSION),
        (-4, 7, -1, E.UNSUPPORTED_VERSION),
        (-5, 9, -1, 0),
        (-9, 9, -1, E.UNSUPPORTED_VERSION),
    ],
)
def test_offsets_that_cannot_be_listed(
    client: RawClient, new_topic: NewTopic, timestamp: int, version: int, epoch: int, code: int
) -> None:
    """Later epochs, and timestamps that a version does not know."""
    partition = ListOffsetsPartition(partition_index=0, timestamp=timestamp, current_leader_epoch=epoch)
    request = ListOffsetsRequest(topics=[ListOffsetsTopic(name=new_topic(), partitions=[partition])])
    assert client.call(request, version, ListOffsetsResponse).topics[0].partitions[0].error_code == code


def test_a_partition_is_named_twice(client: RawClient, new_topic: NewTopic) -> None:
    """ListOffsets: INVALID_REQUEST for that partition."""
    twice = [ListOffsetsPartition(partition_index=0, timestamp=-1) for _ in range(2)]
    request = ListOffsetsRequest(topics=[ListOffsetsTopic(name=new_topic(), partitions=twice)])
    found = client.call(request, 7, ListOffsetsResponse).topics[0].partitions
    assert {each.error_code for each in found} == {E.INVALID_REQUEST}
