"""Where Rota's broker is not as Apache Kafka's, a test each.

It passes on Kafka and must fail on Rota, for the reason that its mark gives. The README's table names these and no
others.
"""

from __future__ import annotations

import random
import struct
import time
import uuid
from collections.abc import Iterator

import pytest
from tests.broker.like_kafka_records import records
from tests.broker.raw import RawClient
from tests.broker.talk import Talk
from tests.brokers import BrokerUnderTest, new_broker

from rota.wire.crc import crc32c
from rota.wire.messages.alter_client_quotas import (
    AlterClientQuotasRequest,
    AlterClientQuotasResponse,
    EntityData,
    EntryData,
    OpData,
)
from rota.wire.messages.produce import ProduceResponse
from rota.wire.messages.update_features import (
    FeatureUpdateKey,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)
from rota.wire.records import HEADER_SIZE, build_batch


@pytest.fixture
def talk(broker: BrokerUnderTest) -> Iterator[Talk]:
    with RawClient(broker.bootstrap_servers) as client:
        yield Talk(client, f"differs-{uuid.uuid4().hex[:8]}", broker.bootstrap_servers)


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


@pytest.mark.difference(
    "records inside a compressed batch of more than 1 kB are looked at when they are read, not when they are written"
)
def test_a_compressed_batch_with_nonsense_inside(talk: Talk) -> None:
    name = talk.topic()
    batch = build_batch([(b"k", random.Random(0).randbytes(2_000), 1_000, [])], compression="gzip")
    batch[HEADER_SIZE + 10 :] = bytes(len(batch) - HEADER_SIZE - 10)
    struct.pack_into(">I", batch, 17, crc32c(memoryview(batch)[21:]))
    answer = talk.client.call(records(name, bytes(batch)), 9, ProduceResponse)
    assert answer.responses[0].partition_responses[0].error_code != 0
