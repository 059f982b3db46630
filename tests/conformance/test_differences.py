"""Where Rota's broker is not as Apache Kafka's, a test each: the cluster, its configs and quotas.

It passes on Kafka and must fail on Rota, for the reason that its mark gives. The README's table names these, those of
``test_differences_groups`` and of ``test_differences_records``, and no others.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.broker.like_kafka_records import records
from tests.broker.raw import RawClient
from tests.broker.talk import Talk
from tests.brokers import BrokerUnderTest, new_broker

from rota.model import ErrorCode
from rota.testing import Broker
from rota.wire.messages.alter_client_quotas import (
    AlterClientQuotasRequest,
    AlterClientQuotasResponse,
    EntityData,
    EntryData,
    OpData,
)
from rota.wire.messages.create_topics import CreatableTopic, CreateTopicsRequest, CreateTopicsResponse
from rota.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResponse,
)
from rota.wire.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from rota.wire.messages.produce import ProduceResponse
from rota.wire.messages.unregister_broker import UnregisterBrokerRequest, UnregisterBrokerResponse
from rota.wire.messages.update_features import (
    FeatureUpdateKey,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)
from rota.wire.records import build_batch

_OFFSETS_TOPIC = "__consumer_offsets"
_TOPIC, _LOGGER = 2, 8


@pytest.mark.difference("share groups")
def test_share_groups_are_switched_on(broker_kind: str) -> None:
    with new_broker(broker_kind) as broker, RawClient(broker.bootstrap_servers) as client:
        update = FeatureUpdateKey(feature="share.version", max_version_level=1)
        request = UpdateFeaturesRequest(feature_updates=[update])
        assert client.call(request, 2, UpdateFeaturesResponse).error_code == 0


@pytest.mark.difference("levels of `group.version` and `metadata.version` are not lowered")
def test_a_feature_is_lowered(broker_kind: str) -> None:
    with new_broker(broker_kind) as broker, RawClient(broker.bootstrap_servers) as client:
        update = FeatureUpdateKey(feature="metadata.version", max_version_level=26, upgrade_type=2)
        request = UpdateFeaturesRequest(feature_updates=[update])
        assert client.call(request, 2, UpdateFeaturesResponse).error_code == 0


@pytest.mark.difference("quotas are kept and described, but nobody is slowed down")
def test_a_quota_is_enforced(talk: Talk) -> None:
    topic = talk.topic()
    entity = [EntityData(entity_type="client-id", entity_name=talk.name)]
    quota = EntryData(entity=entity, ops=[OpData(key="producer_byte_rate", value=100.0)])
    done = talk.client.call(AlterClientQuotasRequest(entries=[quota]), 1, AlterClientQuotasResponse)
    assert done.entries[0].error_code == 0
    batch = bytes(build_batch([(b"k", b"v" * 5_000, 1_000, [])]))
    with RawClient(talk.address, client_id=talk.name) as client:
        throttled = 0
        for _ in range(20):  # Kafka's brokers hear of a quota a moment later
            throttled = max(
                throttled, client.call(records(topic, batch), 9, ProduceResponse).throttle_time_ms
            )
            if throttled:
                break
            time.sleep(0.1)
    assert throttled > 0


@pytest.mark.difference("the node cannot be unregistered")
def test_the_node_is_unregistered(broker_kind: str) -> None:
    with new_broker(broker_kind) as broker, RawClient(broker.bootstrap_servers) as client:
        answer = client.call(UnregisterBrokerRequest(broker_id=1), 0, UnregisterBrokerResponse)
        assert answer.error_code == ErrorCode.NONE


@pytest.mark.difference("leader epochs stay 0, those in the markers of transactions too")
def test_a_leader_epoch_goes_up_with_a_restart(own_broker: BrokerUnderTest) -> None:
    with RawClient(own_broker.bootstrap_servers) as client:
        name = Talk(client, "epochs", own_broker.bootstrap_servers).topic()
    own_broker.restart()
    with RawClient(own_broker.bootstrap_servers) as client:
        request = MetadataRequest(topics=[MetadataRequestTopic(name=name)])
        answer = client.call(request, 9, MetadataResponse)
    assert answer.topics[0].partitions[0].leader_epoch > 0


@pytest.mark.difference("an `ip` of a quota is an address in full or `localhost`, no other name")
def test_a_quota_is_for_a_name_that_is_looked_up(talk: Talk) -> None:
    entity = [EntityData(entity_type="ip", entity_name="127.1")]
    quota = EntryData(entity=entity, ops=[OpData(key="connection_creation_rate", value=1_000.0)])
    request = AlterClientQuotasRequest(entries=[quota], validate_only=True)
    assert talk.client.call(request, 1, AlterClientQuotasResponse).entries[0].error_code == ErrorCode.NONE


@pytest.mark.difference("loggers have Rota's names")
def test_loggers_have_the_names_of_classes(talk: Talk) -> None:
    loggers = _describe(talk, [DescribeConfigsResource(resource_type=_LOGGER, resource_name="1")])
    assert any(config.name.startswith("kafka.") for config in loggers.results[0].configs)


@pytest.mark.difference("one DescribeConfigs answers 200,000 configs at most")
def test_more_configs_are_described_than_a_topic_has(talk: Talk) -> None:
    topic = DescribeConfigsResource(resource_type=_TOPIC, resource_name=talk.topic())
    one = len(_describe(talk, [topic]).results[0].configs)
    answer = _describe(talk, [topic] * (200_000 // one + 2))
    assert {each.error_code for each in answer.results} == {ErrorCode.NONE}


@pytest.mark.difference("in memory, `__consumer_offsets` has segments of 1 MB")
def test_segments_of_the_offsets_topic_have_a_hundred_megabytes(broker_kind: str) -> None:
    with _without_a_directory(broker_kind) as address, RawClient(address) as client:
        talk = Talk(client, "segments", address)
        talk.coordinator("g")
        offsets = DescribeConfigsResource(
            resource_type=_TOPIC, resource_name=_OFFSETS_TOPIC, configuration_keys=["segment.bytes"]
        )
        described = _describe(talk, [offsets]).results[0].configs
    assert [config.value for config in described] == ["104857600"]


@pytest.mark.difference("the coordinators' topics have the settings that they need, whoever makes them")
def test_the_offsets_topic_is_made_as_somebody_wants_it(broker_kind: str) -> None:
    with new_broker(broker_kind) as broker, RawClient(broker.bootstrap_servers) as client:
        wanted = CreatableTopic(name=_OFFSETS_TOPIC, num_partitions=1, replication_factor=1)
        answer = client.call(CreateTopicsRequest(topics=[wanted]), 5, CreateTopicsResponse)
        assert (answer.topics[0].error_code, answer.topics[0].num_partitions) == (ErrorCode.NONE, 1)


@contextmanager
def _without_a_directory(kind: str) -> Iterator[str]:
    """The address of a broker that was given no directory: Rota's keeps everything in memory then."""
    with Broker() if kind == "rota" else new_broker(kind) as broker:
        yield broker.bootstrap_servers


def _describe(talk: Talk, resources: list[DescribeConfigsResource]) -> DescribeConfigsResponse:
    return talk.client.call(DescribeConfigsRequest(resources=resources), 4, DescribeConfigsResponse)
