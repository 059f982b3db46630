"""Every parser that a peer's bytes reach, on what real clients send and on what that becomes when it is damaged.

Whatever comes, a parser returns or raises `WireError` (a `KafkaError`, where a log refuses a batch), and what it makes
is in proportion to what it was given.
"""

from __future__ import annotations

import contextlib
import random
import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz.batches import any_batch
from tests.fuzz.corpus import Sample, load
from tests.fuzz.damage import damaged, splice
from tests.fuzz.messages import Known, change

from rota.broker.dispatch import Dispatch
from rota.coordinator.log_format import decode_record
from rota.coordinator.subscriptions import assigned_partitions, owned_partitions, subscribed_topics
from rota.model import KafkaError
from rota.storage import LogConfig
from rota.storage.checks import check_batches
from rota.wire import WireError
from rota.wire.apis import APIS
from rota.wire.codec import decoder
from rota.wire.frames import request_frame
from rota.wire.records import iter_batches, iter_records, read_end_marker

CORPUS = load()
_SERVED = [
    each for each in CORPUS if APIS[each.key].min_version <= each.version <= APIS[each.key].max_version
]
_deterministic = settings(max_examples=300, deadline=None, derandomize=True)

samples = st.sampled_from(_SERVED)
seeds = st.integers(0, 2**32)


def _read(frame: bytes) -> None:
    """As a connection does."""
    key, version = (
        int.from_bytes(frame[:2], "big", signed=True),
        int.from_bytes(frame[2:4], "big", signed=True),
    )
    route = Dispatch().route(key, version)
    if route is not None:
        route.read(memoryview(frame))


@pytest.mark.parametrize("sample", _SERVED, ids=lambda each: f"{each.key}-v{each.version}-{each.client}")
def test_what_a_client_sent_is_read_and_written_again(sample: Sample) -> None:
    api = APIS[sample.key]
    request, _ = decoder(api.request_type, sample.version)(memoryview(sample.frame), sample.body_at)
    correlation_id = int.from_bytes(sample.frame[4:8], "big", signed=True)
    length = int.from_bytes(sample.frame[8:10], "big", signed=True)
    client_id = None if length < 0 else sample.frame[10 : 10 + length].decode()
    chunks = request_frame(api, sample.version, correlation_id, client_id, request)
    again = b"".join(bytes(each) for each in chunks)[4:]
    assert sample.frame.startswith(again)  # librdkafka leaves a few bytes behind


def test_the_corpus_has_every_api_that_clients_use() -> None:
    used = {each.key for each in CORPUS}
    assert {0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 18, 22, 24, 25, 26, 28, 68} <= used
    assert {each.client for each in CORPUS} >= {
        "confluent-kafka-python",
        "kafka-python",
        "apache-kafka-java",
        "kgo",
    }


@given(sample=samples, seed=seeds)
@_deterministic
def test_damaged_requests_are_read_or_refused(sample: Sample, seed: int) -> None:
    with contextlib.suppress(WireError):
        _read(sample.frame[:8] + damaged(sample.frame[8:], random.Random(seed)))


@given(one=samples, other=samples, seed=seeds)
@_deterministic
def test_spliced_requests_are_read_or_refused(one: Sample, other: Sample, seed: int) -> None:
    frame = splice(one.frame, other.frame, random.Random(seed))
    if len(frame) >= 8:
        with contextlib.suppress(WireError):
            _read(frame)


@given(sample=samples, seed=seeds)
@_deterministic
def test_requests_that_are_changed_within_their_shape_are_read_or_refused(sample: Sample, seed: int) -> None:
    api = APIS[sample.key]
    source = random.Random(seed)
    message = decoder(api.request_type, sample.version)(memoryview(sample.frame), sample.body_at)[0]
    change(message, sample.version, source, Known())
    with contextlib.suppress(WireError, struct.error):  # a text that is longer than this version can say
        _read(b"".join(bytes(each) for each in request_frame(api, sample.version, 1, "x", message))[4:])


@given(seed=seeds, compacted=st.booleans())
@_deterministic
def test_damaged_batches_are_checked_or_refused(seed: int, compacted: bool) -> None:
    source = random.Random(seed)
    batch = bytearray(any_batch(source, None, (7, 0)))
    config = LogConfig(cleanup_policy=("compact" if compacted else "delete",))
    with contextlib.suppress(KafkaError):
        check_batches(memoryview(batch), config, int(time.time() * 1000), from_client=True)


@given(seed=seeds)
@_deterministic
def test_damaged_batches_are_read_or_refused(seed: int) -> None:
    batch = any_batch(random.Random(seed), None, None)
    with contextlib.suppress(WireError):
        for position, header in iter_batches(batch):
            count = sum(1 for _ in iter_records(batch, position, limit=1 << 20))
            assert count == header.record_count
    with contextlib.suppress(WireError):
        read_end_marker(batch)


@given(sample=st.sampled_from([each for each in _SERVED if each.key in {11, 14}]), seed=seeds)
@_deterministic
def test_damaged_subscriptions_are_read_as_far_as_they_go(sample: Sample, seed: int) -> None:
    source = random.Random(seed)
    request = decoder(APIS[sample.key].request_type, sample.version)(
        memoryview(sample.frame), sample.body_at
    )[0]
    pieces = (
        [each.metadata for each in request.protocols]
        if sample.key == 11
        else [each.assignment for each in request.assignments]
    )
    for piece in pieces:
        data = damaged(piece, source)
        subscribed_topics(data)
        owned_partitions(data)
        assigned_partitions(data)


@given(key=st.binary(max_size=40), value=st.none() | st.binary(max_size=80), kind=st.integers(0, 20))
@_deterministic
def test_damaged_group_records_are_read_or_refused(key: bytes, value: bytes | None, kind: int) -> None:
    with contextlib.suppress(WireError):
        decode_record(kind.to_bytes(2, "big") + key, value)
