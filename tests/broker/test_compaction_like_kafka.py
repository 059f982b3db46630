"""The same records into a compacted topic of Rota and of Apache Kafka: the same batches are left, round by round."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.broker.like_kafka_records import fetch
from tests.broker.raw import RawClient
from tests.broker.talk import Talk
from tests.brokers import BrokerUnderTest, new_broker
from tests.kafka.ports import PATIENCE_S

from rota.wire.compression import CODECS
from rota.wire.messages.fetch import FetchResponse
from rota.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from rota.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from rota.wire.records import build_batch, check_batch, iter_batches, iter_records

_BROKER_CONFIG = {"log.cleaner.backoff.ms": "100", "log.cleaner.min.cleanable.ratio": "0.01"}
_TOPIC = "compacted"
_TOPIC_RESOURCE = 2
_START = 1_700_000_000_000


@pytest.fixture(scope="module")
def both(kafka_jars: Path) -> Iterator[tuple[Talk, Talk]]:
    """Conversations with both, in which the topic was made."""
    with (
        new_broker("rota", config=_BROKER_CONFIG) as rota,
        new_broker("kafka", config=_BROKER_CONFIG) as kafka,
        _client(rota) as ours,
        _client(kafka) as theirs,
    ):
        talks = Talk(ours, _TOPIC, rota.bootstrap_servers), Talk(theirs, _TOPIC, kafka.bootstrap_servers)
        for talk in talks:
            talk.topic()
            # Segments end by the records' own time, which is the same on both.
            _set(talk, **{"segment.ms": "1000", "delete.retention.ms": "0", "retention.ms": "-1"})
        yield talks


def _client(broker: BrokerUnderTest) -> RawClient:
    return RawClient(broker.bootstrap_servers)


def _set(talk: Talk, **configs: str) -> None:
    request = IncrementalAlterConfigsRequest(
        resources=[
            AlterConfigsResource(
                resource_type=_TOPIC_RESOURCE,
                resource_name=_TOPIC,
                configs=[
                    AlterableConfig(name=name, config_operation=0, value=value)
                    for name, value in configs.items()
                ],
            )
        ]
    )
    answer = talk.client.call(request, 1, IncrementalAlterConfigsResponse)
    assert answer.responses[0].error_code == 0, answer


def _left(talk: Talk) -> list[Any]:
    """Every batch that is left: what compaction may change of its header, and its records."""
    found: list[Any] = []
    offset = 0
    while True:
        asked = fetch(_TOPIC, bytes(16), offset=offset)
        asked.max_bytes = asked.topics[0].partitions[0].partition_max_bytes = 10_000_000
        answer = talk.client.call(asked, 12, FetchResponse).responses[0].partitions[0]
        assert answer.error_code == 0
        data = bytes(answer.records or b"")
        if not data:
            return found
        for position, header in iter_batches(data):
            check_batch(data, position)
            found.append(
                (
                    header.base_offset,
                    header.last_offset,
                    header.attributes,
                    header.max_timestamp,
                    header.producer_id >= 0,
                    header.producer_epoch,
                    header.base_sequence,
                    header.record_count,
                    tuple(tuple(map(repr, each)) for each in iter_records(data, position)),
                )
            )
            offset = header.next_offset


def _same_in_the_end(both: tuple[Talk, Talk], before: list[Any]) -> list[Any]:
    """Wait until both have compacted; what is left."""
    ends_at = time.monotonic() + PATIENCE_S
    while True:
        ours, theirs = map(_left, both)
        if (ours == theirs and ours != before) or time.monotonic() > ends_at:
            break
        time.sleep(0.2)
    assert ours == theirs
    assert ours != before, "nobody has compacted anything"
    return ours


def test_the_same_is_left(both: tuple[Talk, Talk]) -> None:
    for number in range(60):
        records = [
            (b"k%d" % (number % 7), b"v%d" % number, _START + number * 400, [("h", b"1")]),
            (b"once %d" % (number // 5), b"w" * 50, _START + number * 400, ()),
            (b"gone", None if number > 20 else b"there", _START + number * 400 + 1, ()),
            (None if number % 10 == 3 else b"m", b"key or none", _START + number * 400 + 2, ()),
        ]
        for talk in both:
            talk.produce(_TOPIC, build_batch(records, compression=CODECS[number % len(CODECS)]))
    producers = {}
    for talk in both:
        ask = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000)
        while (given := talk.client.call(ask, 4, InitProducerIdResponse)).error_code:
            time.sleep(0.05)
        producers[talk] = given.producer_id
        for sequence in range(3):
            batch = build_batch(
                [(b"k1", b"p%d" % sequence, _START + 30_000 + sequence, ())],
                producer_id=given.producer_id,
                producer_epoch=0,
                base_sequence=sequence,
            )
            talk.produce(_TOPIC, batch)
        talk.produce(_TOPIC, build_batch([(b"k1", b"the last one", _START + 40_000, ())]))
        talk.produce(_TOPIC, build_batch([(b"active", b"", _START + 50_000, ())]))
    before = _left(both[0])
    assert before == _left(both[1])
    for talk in both:
        _set(talk, **{"cleanup.policy": "compact"})
    first = _same_in_the_end(both, before)
    assert sum(each[7] for each in first) < 40
    # The tombstone is still there, with a time to go.
    assert any("gone" in repr(each[8]) and each[2] & 0x40 for each in first)
    for talk in both:
        _set(talk, **{"cleanup.policy": "delete"})
        talk.produce(_TOPIC, build_batch([(b"k2", b"later", _START + 60_000, ())]))
        talk.produce(_TOPIC, build_batch([(b"k3", b"later still", _START + 70_000, ())]))
    before = _left(both[0])
    for talk in both:
        _set(talk, **{"cleanup.policy": "compact"})
    second = _same_in_the_end(both, before)
    assert not any("gone" in repr(each[8]) for each in second)
