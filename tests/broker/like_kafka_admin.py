"""Conversations about topics and settings, for ``test_like_kafka``."""

from __future__ import annotations

from collections.abc import Callable

from tests.broker.talk import Talk
from tests.kafka.ports import wait_until

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
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from rota.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse, DeleteTopicState
from rota.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResponse,
)
from rota.wire.messages.describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumResponse,
    PartitionData,
    TopicData,
)
from rota.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from rota.wire.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse

__all__ = ["CASES"]

STRANGE_ID = b"\x01" * 16
_TOPIC, _BROKER, _BROKER_LOGGER, _GROUP, _NONSENSE = 2, 4, 8, 32, 77


def metadata_of_missing_topics(talk: Talk) -> None:
    """Without leave to create them."""
    for name in ("missing", "bad/name", "", ".", "..", "a" * 249, "a" * 250):
        request = MetadataRequest(topics=[MetadataRequestTopic(name=name)], allow_auto_topic_creation=False)
        talk.ask_in_all(request, MetadataResponse, first=4)
    bad = MetadataRequest(topics=[MetadataRequestTopic(name="bad/name")])
    talk.ask_in_all(bad, MetadataResponse)
    by_id = MetadataRequest(topics=[MetadataRequestTopic(topic_id=STRANGE_ID, name=None)])
    talk.ask_in_all(by_id, MetadataResponse, first=12)


def metadata_that_creates_topics(talk: Talk) -> None:
    """The first answer is an error, and soon the topic is there; of one that cannot be, it is an error for ever."""
    talk.topic(suffix=".there")
    for name in (f"{talk.name}-new", f"{talk.name}_there", "bad/name"):
        for version in range(14):
            topics = [MetadataRequestTopic(name=f"{name}{version if name.endswith('new') else ''}")]
            talk.ask(MetadataRequest(topics=topics), version, MetadataResponse)
    last = MetadataRequest(topics=[MetadataRequestTopic(name=f"{talk.name}-new13")])
    wait_until(
        "the topic is there",
        lambda: talk.client.call(last, 13, MetadataResponse).topics[0].error_code == 0,
    )
    talk.ask_in_all(last, MetadataResponse)


def metadata_of_a_topic(talk: Talk) -> None:
    topic = talk.topic(3)
    by_name = MetadataRequest(topics=[MetadataRequestTopic(name=topic)], allow_auto_topic_creation=False)
    by_name.include_topic_authorized_operations = True
    talk.ask_in_all(by_name, MetadataResponse, first=8)
    by_name.include_topic_authorized_operations = False
    by_name.include_cluster_authorized_operations = True
    talk.ask_in_all(by_name, MetadataResponse, first=8, last=10)
    by_name.include_cluster_authorized_operations = False
    by_name.allow_auto_topic_creation = True
    by_name.topics = [MetadataRequestTopic(name=topic), MetadataRequestTopic(name=topic)]
    talk.ask_in_all(by_name, MetadataResponse)
    by_id = MetadataRequest(topics=[MetadataRequestTopic(topic_id=talk.topic_id(topic), name=None)])
    talk.ask_in_all(by_id, MetadataResponse, first=12)
    talk.ask_in_all(MetadataRequest(topics=[]), MetadataResponse, first=1)


def create_topics(talk: Talk) -> None:
    """Whatever can be wrong with a new topic.

    Not asked, as Rota means to differ: v7 with ``validate_only``, where Kafka makes up an id for a topic that
    will not be.
    """
    there = talk.topic(suffix="-there")
    wrong = [
        topic(there),
        topic("bad/name"),
        topic(""),
        topic("."),
        topic("a" * 250),
        topic("__consumer_offsets"),
        topic("none", 0),
        topic("below", -2),
        topic("replicas", 1, 2),
        topic("no-replicas", 1, 0),
        topic("few-replicas", 1, -2),
        topic("defaults", -1, -1),
        topic("config", configs=[("nonsense", "1")]),
        topic("value", configs=[("retention.ms", "soon")]),
        topic("range", configs=[("segment.bytes", "1")]),
        topic("policy", configs=[("cleanup.policy", "burn")]),
        topic("null", configs=[("retention.ms", None)]),
        topic("twice", configs=[("retention.ms", "1"), ("retention.ms", "2")]),
        topic("compress", configs=[("compression.type", "gzip"), ("compression.gzip.level", "77")]),
        topic("assigned", -1, -1, assigned={0: [1], 1: [1]}),
        topic("gap", -1, -1, assigned={0: [1], 2: [1]}),
        topic("stranger", -1, -1, assigned={0: [7]}),
        topic("nobody", -1, -1, assigned={0: []}),
        topic("doubled", -1, -1, assigned={0: [1, 1]}),
        topic("both", 1, 1, assigned={0: [1]}),
    ]
    for each in wrong:
        request = CreateTopicsRequest(topics=[each], timeout_ms=10_000, validate_only=True)
        for version in (2, 4, 5, 6):
            talk.ask(request, version, CreateTopicsResponse)
    request = CreateTopicsRequest(topics=[topic("same"), topic("same"), topic(f"{talk.name}-other")])
    talk.ask(request, 7, CreateTopicsResponse)
    for name in (f"{talk.name}.collides", f"{talk.name}_collides"):
        talk.ask(CreateTopicsRequest(topics=[topic(name)]), 7, CreateTopicsResponse)
    both = [topic(f"{talk.name}.both"), topic(f"{talk.name}_both")]  # with each other only, it is none
    talk.ask(CreateTopicsRequest(topics=both), 7, CreateTopicsResponse)
    talk.ask(CreateTopicsRequest(), 7, CreateTopicsResponse)


def create_partitions(talk: Talk) -> None:
    name = talk.topic(2)
    for topic_name, count, assigned in (
        (name, 2, None),
        (name, 1, None),
        (name, 0, None),
        (name, -1, None),
        ("missing", 3, None),
        ("bad/name", 3, None),
        (name, 3, [[1]]),
        (name, 4, [[1]]),
        (name, 3, [[7]]),
        (name, 3, [[]]),
        (name, 3, [[1, 1]]),
        (name, 3, []),
        (name, 3, None),
    ):
        assignments = (
            None if assigned is None else [CreatePartitionsAssignment(broker_ids=ids) for ids in assigned]
        )
        request = CreatePartitionsRequest(
            topics=[CreatePartitionsTopic(name=topic_name, count=count, assignments=assignments)],
            timeout_ms=10_000,
            validate_only=True,
        )
        talk.ask_in_all(request, CreatePartitionsResponse)
    twice = [CreatePartitionsTopic(name=name, count=count, assignments=None) for count in (3, 4)]
    talk.ask(CreatePartitionsRequest(topics=twice, timeout_ms=10_000), 3, CreatePartitionsResponse)


def delete_topics(talk: Talk) -> None:
    name = talk.topic()
    talk.ask_in_all(
        DeleteTopicsRequest(topic_names=["missing", "bad/name", ""], timeout_ms=10_000),
        DeleteTopicsResponse,
        last=5,
    )
    by_name = [DeleteTopicState(name="missing")]
    talk.ask(DeleteTopicsRequest(topics=by_name, timeout_ms=10_000), 6, DeleteTopicsResponse)
    by_id = [DeleteTopicState(name=None, topic_id=STRANGE_ID)]
    talk.ask(DeleteTopicsRequest(topics=by_id, timeout_ms=10_000), 6, DeleteTopicsResponse)
    both = [DeleteTopicState(name=name, topic_id=STRANGE_ID)]
    talk.ask(DeleteTopicsRequest(topics=both, timeout_ms=10_000), 6, DeleteTopicsResponse)
    neither = [DeleteTopicState(name=None)]
    talk.ask(DeleteTopicsRequest(topics=neither, timeout_ms=10_000), 6, DeleteTopicsResponse)
    twice = [DeleteTopicState(name=name), DeleteTopicState(name=name)]
    talk.ask(DeleteTopicsRequest(topics=twice, timeout_ms=10_000), 6, DeleteTopicsResponse)
    well = [DeleteTopicState(name=None, topic_id=talk.topic_id(name))]
    talk.ask(DeleteTopicsRequest(topics=well, timeout_ms=10_000), 6, DeleteTopicsResponse)


def describe_configs_of_the_unknown(talk: Talk) -> None:
    name = talk.topic()
    for kind, resource, keys in (
        (_TOPIC, "missing", None),
        (_TOPIC, "bad/name", None),
        (_TOPIC, "", None),
        (_TOPIC, name, ["nonsense"]),
        (_TOPIC, name, []),
        (_TOPIC, name, ["retention.ms", "cleanup.policy", "nonsense"]),
        (_BROKER, "7", None),
        (_BROKER, "one", None),
        (_BROKER, "1", ["nonsense"]),
        (_BROKER, "", ["nonsense"]),
        (_BROKER_LOGGER, "7", None),
        (_GROUP, "", None),
        (_GROUP, "missing", ["nonsense"]),
        (_NONSENSE, "x", None),
        (0, "x", None),
    ):
        request = DescribeConfigsRequest(
            resources=[
                DescribeConfigsResource(resource_type=kind, resource_name=resource, configuration_keys=keys)
            ]
        )
        talk.ask_in_all(request, DescribeConfigsResponse)


def describe_all_configs(talk: Talk) -> None:
    """With their synonyms: of a topic, of one with settings, of the broker, of the cluster, of a group."""
    name = talk.topic()
    for configs in ({}, {"retention.ms": "1000", "cleanup.policy": "compact,delete", "segment.ms": "5000"}):
        steps = [AlterableConfig(name=key, config_operation=0, value=value) for key, value in configs.items()]
        if steps:
            change = AlterConfigsResource(resource_type=_TOPIC, resource_name=name, configs=steps)
            talk.ask(IncrementalAlterConfigsRequest(resources=[change]), 1, IncrementalAlterConfigsResponse)
            wait_until("the change is seen", lambda: _topic_config(talk, name, "retention.ms") == "1000")
        for kind, resource in ((_TOPIC, name), (_BROKER, "1"), (_BROKER, ""), (_GROUP, talk.name)):
            request = DescribeConfigsRequest(
                resources=[DescribeConfigsResource(resource_type=kind, resource_name=resource)],
                include_synonyms=True,
            )
            request.resources[0].configuration_keys = None
            talk.ask_in_all(request, DescribeConfigsResponse)


def _topic_config(talk: Talk, topic: str, config: str) -> str | None:
    resource = DescribeConfigsResource(resource_type=_TOPIC, resource_name=topic, configuration_keys=[config])
    answer = talk.client.call(DescribeConfigsRequest(resources=[resource]), 4, DescribeConfigsResponse)
    return answer.results[0].configs[0].value


def change_configs_wrongly(talk: Talk) -> None:
    """Among them what is not wrong: to delete a config that nobody knows."""
    name = talk.topic()
    for kind, resource, key, operation, value in (
        (_TOPIC, "missing", "retention.ms", 0, "1"),
        (_TOPIC, name, "nonsense", 0, "1"),
        (_TOPIC, name, "retention.ms", 0, "soon"),
        (_TOPIC, name, "retention.ms", 0, None),
        (_TOPIC, name, "retention.ms", 2, "1"),
        (_TOPIC, name, "cleanup.policy", 2, "burn"),
        (_TOPIC, name, "cleanup.policy", 2, "compact"),
        (_TOPIC, name, "cleanup.policy", 3, "compact"),
        (_TOPIC, name, "retention.ms", 0, "1000"),
        (_TOPIC, name, "retention.ms", 1, None),
        (_TOPIC, name, "nonsense", 1, None),
        (_TOPIC, "missing", "nonsense", 1, None),
        (_BROKER, "1", "nonsense", 1, None),
        (_BROKER, "", "nonsense", 1, None),
        (_BROKER, "1", "node.id", 1, None),
        (_BROKER, "", "log.cleaner.threads", 0, "none"),
        (_BROKER, "1", "log.cleaner.threads", 0, "-1"),
        (_BROKER, "1", "log.cleaner.threads", 2, "1"),
        (_BROKER, "", "min.insync.replicas", 1, None),
        (_BROKER, "", "min.insync.replicas", 0, "1"),
        (_BROKER, "1", "min.insync.replicas", 0, "1"),
        (_BROKER, "1", "min.insync.replicas", 1, None),
        (_GROUP, talk.name, "nonsense", 1, None),
        (_GROUP, talk.name, "consumer.session.timeout.ms", 0, "50000"),
        (_GROUP, talk.name, "consumer.session.timeout.ms", 0, "1"),
        (_GROUP, talk.name, "consumer.session.timeout.ms", 1, None),
        (_BROKER, "7", "log.cleaner.threads", 0, "1"),
        (_BROKER, "1", "node.id", 0, "2"),
        (_BROKER, "one", "log.cleaner.threads", 0, "1"),
        (_NONSENSE, "x", "y", 0, "1"),
    ):
        request = IncrementalAlterConfigsRequest(
            resources=[
                AlterConfigsResource(
                    resource_type=kind,
                    resource_name=resource,
                    configs=[AlterableConfig(name=key, config_operation=operation, value=value)],
                )
            ],
            validate_only=True,
        )
        talk.ask_in_all(request, IncrementalAlterConfigsResponse)


def topic(
    name: str,
    partitions: int = 1,
    replicas: int = 1,
    *,
    configs: list[tuple[str, str | None]] | None = None,
    assigned: dict[int, list[int]] | None = None,
) -> CreatableTopic:
    return CreatableTopic(
        name=name,
        num_partitions=partitions,
        replication_factor=replicas,
        configs=[CreatableTopicConfig(name=key, value=value) for key, value in configs or []],
        assignments=[
            CreatableReplicaAssignment(partition_index=index, broker_ids=ids)
            for index, ids in (assigned or {}).items()
        ],
    )


def describe_quorum(talk: Talk) -> None:
    """Of the metadata, of what has no quorum, of nothing. How long its log is, is each broker's own."""
    for asked in ([("__cluster_metadata", 0)], [("__cluster_metadata", 1)], [("missing", 0)], []):
        request = DescribeQuorumRequest(
            topics=[
                TopicData(topic_name=name, partitions=[PartitionData(partition_index=index)])
                for name, index in asked
            ]
        )
        for version in range(3):
            response = talk.client.call(request, version, DescribeQuorumResponse)
            for partition in (each for topic in response.topics for each in topic.partitions):
                partition.high_watermark = 0
                for voter in partition.current_voters:
                    voter.log_end_offset = voter.last_fetch_timestamp = voter.last_caught_up_timestamp = 0
            talk.note(request, version, response)


CASES: tuple[Callable[[Talk], None], ...] = (
    metadata_of_missing_topics,
    metadata_that_creates_topics,
    metadata_of_a_topic,
    create_topics,
    create_partitions,
    delete_topics,
    describe_configs_of_the_unknown,
    describe_all_configs,
    describe_quorum,
    change_configs_wrongly,
)
