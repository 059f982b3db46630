"""Files change hands: what Rota wrote is read by Apache Kafka and its tools, and the other way round."""

from __future__ import annotations

import json
import re
import shutil
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from tests.brokers import new_broker
from tests.clients.desk import OFFSETS_TOPIC, Desk, GroupView
from tests.clients.member import Partition
from tests.kafka.tools import offline_tool

from rota.coordinator.log_format import decode_record, encode_record
from rota.storage import Log, LogConfig, MetadataStore
from rota.storage.cleanable import cleanable
from rota.storage.compaction import compact, run_now
from rota.wire.codec import encode_versioned
from rota.wire.records import build_batch, iter_batches, iter_records

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
PER_CODEC = 20
Pair = tuple[bytes | None, bytes | None]


class Written:
    """What a broker was given to write, and what it said about it before it stopped."""

    def __init__(self, data_dir: Path, desk: Desk) -> None:
        self.data_dir = data_dir
        self.group, self.static_group, self.gone_group = (
            desk.name(hint) for hint in ("dynamic", "static", "gone")
        )
        self.topic = desk.topic("moved", 1)
        self.produced = _produce(desk.bootstrap_servers, self.topic, idempotent=True)
        self.views: dict[str, GroupView] = {}
        self.committed: dict[str, dict[Partition, int]] = {}
        self._live(desk)

    def _live(self, desk: Desk) -> None:
        topic = desk.topic("read", 3)
        desk.produce(topic, per_partition=4, partitions=3)
        partitions = {(topic, index) for index in range(3)}
        for group, instances in (
            (self.gone_group, (None,)),
            (self.group, (None, None)),
            (self.static_group, ("first", "second")),
        ):
            members = [
                desk.member("confluent", group, topic, commit_each_poll=True, instance_id=instance)
                for instance in instances
            ]
            self.views[group] = desk.wait_stable(group, members, partitions)
            desk.wait_committed(group, dict.fromkeys(partitions, 4))
            self.committed[group] = desk.committed(group)
            if group == self.gone_group:
                members[0].stop()
        desk.admin.delete_consumer_groups([self.gone_group])[self.gone_group].result(30)

    def offset_logs(self) -> list[Path]:
        """The segments of ``__consumer_offsets`` that hold something."""
        found = sorted(self.data_dir.glob(f"{OFFSETS_TOPIC}-*/*.log"))
        return [path for path in found if path.stat().st_size]


@pytest.fixture(scope="module")
def by_rota(tmp_path_factory: pytest.TempPathFactory, kafka_jars: Path) -> Written:
    return _written("rota", tmp_path_factory.mktemp("rota"))


@pytest.fixture(scope="module")
def by_kafka(tmp_path_factory: pytest.TempPathFactory, kafka_jars: Path) -> Written:
    return _written("kafka", tmp_path_factory.mktemp("kafka"))


def _written(kind: str, where: Path) -> Written:
    """A broker lives through all of it, and is stopped while its members are still there."""
    broker = new_broker(kind, data_dir=where)
    broker.start()
    with Desk(broker) as desk:
        try:
            return Written(broker.data_dir, desk)
        finally:
            broker.__exit__(None, None, None)


def test_kafka_reads_the_groups_that_rota_wrote(by_rota: Written) -> None:
    """DumpLogSegments decodes every record; the last of each key is what the coordinator said."""
    logs = by_rota.offset_logs()
    assert logs
    text = offline_tool("kafka-dump-log", "--files", ",".join(map(str, logs)), "--offsets-decoder")
    assert "isvalid: false" not in text
    records = list(_decoded(text))
    assert len(records) == sum(len(list(_records(path))) for path in logs)
    last = {json.dumps(key, sort_keys=True): (key, value) for key, value in records}
    groups: dict[str, Any] = {}
    offsets: dict[tuple[str, str, int], Any] = {}
    for key, value in last.values():
        data = key["data"]
        if "topic" in data:
            offsets[data["group"], data["topic"], data["partition"]] = value and value["data"]["offset"]
        else:
            groups[data["group"]] = value and value["data"]
    assert groups.pop(by_rota.gone_group) is None
    assert groups.keys() == {by_rota.group, by_rota.static_group}
    for group, committed in by_rota.committed.items():
        found = {(topic, index): value for (owner, topic, index), value in offsets.items() if owner == group}
        gone = group == by_rota.gone_group
        assert found == (dict.fromkeys(committed) if gone else committed)
    for name, recorded in groups.items():
        view = by_rota.views[name]
        assert recorded["protocol"] == view.strategy
        assert recorded["generation"] >= 1
        told = {
            (member.member_id, member.instance_id, member.client_id, member.host)
            for member in view.members.values()
        }
        assert told == {
            (each["memberId"], each["groupInstanceId"], each["clientId"], each["clientHost"])
            for each in recorded["members"]
        }


def test_rota_decodes_the_groups_that_kafka_wrote_and_encodes_the_same(by_kafka: Written) -> None:
    """Byte for byte, each value in its own version: Kafka 4.1 writes 4 for offsets, Rota 3, which both read."""
    kinds: dict[str, int] = {}
    for path in by_kafka.offset_logs():
        for key, value in _records(path):
            assert key is not None
            record = decode_record(key, value)
            assert record is not None
            assert encode_record(record)[0] == key
            if value is not None:
                assert record.value is not None
                version = int.from_bytes(value[:2])
                assert version in {3, 4}
                assert encode_versioned(record.value, version) == value
            kind = type(record.key).__name__ + (" gone" if value is None else "")
            kinds[kind] = kinds.get(kind, 0) + 1
    assert kinds.keys() == {
        "OffsetCommitKey", "OffsetCommitKey gone", "GroupMetadataKey", "GroupMetadataKey gone",
    }  # fmt: skip


def test_rota_serves_what_kafka_wrote(by_kafka: Written, tmp_path: Path) -> None:
    """A partition's directory, and all groups, moved from Kafka to Rota."""
    data = tmp_path / "rota" / "data"
    data.mkdir(parents=True)
    store = MetadataStore.open(data)
    for topic in (by_kafka.topic, OFFSETS_TOPIC):
        parts = list(by_kafka.data_dir.glob(f"{topic}-*"))
        for part in parts:
            shutil.copytree(part, data / part.name)
        identity = re.search(r"topic_id: (\S+)", (parts[0] / "partition.metadata").read_text())
        assert identity is not None
        configs = {"cleanup.policy": "compact"} if topic == OFFSETS_TOPIC else {}
        store.put_topic(topic, urlsafe_b64decode(identity[1] + "=="), len(parts), configs)
    with new_broker("rota", data_dir=tmp_path / "rota") as rota, Desk(rota) as desk:
        assert _read(rota.bootstrap_servers, by_kafka.topic) == by_kafka.produced
        for group in (by_kafka.group, by_kafka.static_group):
            assert desk.committed(group) == by_kafka.committed[group]
            view, was = desk.describe(group), by_kafka.views[group]
            assert view.members.keys() == was.members.keys()
        more = _produce(rota.bootstrap_servers, by_kafka.topic)
        assert _read(rota.bootstrap_servers, by_kafka.topic) == by_kafka.produced + more


def test_kafka_serves_what_rota_wrote(by_rota: Written, tmp_path: Path) -> None:
    """A topic made on Kafka, whose files are then replaced by Rota's; only Kafka's topic id stays."""
    with new_broker("kafka", data_dir=tmp_path / "kafka") as kafka:
        with Desk(kafka) as desk:
            topic = desk.topic("moved", 1)
        kafka.__exit__(None, None, None)
        _replace_files(kafka.data_dir / f"{topic}-0", by_rota.data_dir / f"{by_rota.topic}-0")
        kafka.start()
        with Desk(kafka) as desk:
            desk.wait_topic(topic, 1)
        assert _read(kafka.bootstrap_servers, topic) == by_rota.produced
        more = _produce(kafka.bootstrap_servers, topic)
        assert _read(kafka.bootstrap_servers, topic) == by_rota.produced + more


def test_kafka_serves_what_rota_compacted(tmp_path: Path, kafka_jars: Path) -> None:
    """Batches with fewer records than before, with none, and segments that begin or end with missing offsets."""
    written = tmp_path / "written"
    written.mkdir()
    config = LogConfig(segment_bytes=3_000, index_interval_bytes=300, cleanup_policy=("compact",))
    log = Log.open(written, config, now_ms=1_000)
    for number in range(150):
        keys = [b"k%d" % ((number * 3 + each) % 40) for each in range(4)]
        entries = [*((key, b"v%d" % number, 1_000, ()) for key in keys), (b"deleted", None, 1_000, ())]
        log.append(build_batch(entries, compression=CODECS[number % len(CODECS)]), 1_000)
    done = run_now(compact(cleanable(log, None, 2_000), 2_000))
    assert done is not None
    assert done.records_removed > 400
    log.close()
    left = [pair for path in sorted(written.glob("*.log")) for pair in _records(path)]
    with new_broker("kafka", data_dir=tmp_path / "kafka") as kafka:
        with Desk(kafka) as desk:
            topic = desk.topic("moved", 1)
        kafka.__exit__(None, None, None)
        _replace_files(kafka.data_dir / f"{topic}-0", written)
        kafka.start()
        with Desk(kafka) as desk:
            desk.wait_topic(topic, 1)
        assert _read(kafka.bootstrap_servers, topic, has_holes=True) == left


def _replace_files(target: Path, source: Path) -> None:
    for path in target.iterdir():
        if path.name != "partition.metadata":
            path.unlink()
    for path in source.iterdir():
        if path.name != "partition.metadata":
            shutil.copy2(path, target)


def _produce(bootstrap_servers: str, topic: str, *, idempotent: bool = False) -> list[Pair]:
    """A producer for each codec; what was acknowledged, in order.

    In files that moved here a new producer cannot be idempotent: this cluster may give it an id that another
    producer had in the old one, whose records those then seem to be.
    """
    pairs: list[Pair] = []
    for codec in CODECS:
        producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "compression.type": codec,
                "enable.idempotence": idempotent,
                "log_level": 0,
            }
        )
        for number in range(PER_CODEC):
            key, value = f"{codec}-{number}".encode(), b"value " * (number + 1)
            producer.produce(topic, value, key=key, partition=0)
            pairs.append((key, value))
        assert producer.flush(30) == 0
    return pairs


def _read(bootstrap_servers: str, topic: str, *, has_holes: bool = False) -> list[Pair]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "not-used",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "check.crcs": True,
            "log_level": 0,
        }
    )
    pairs: list[Pair] = []
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        while (message := consumer.poll(20)) is not None and message.error() is None:
            assert has_holes or message.offset() == len(pairs)
            pairs.append((_bytes(message.key()), _bytes(message.value())))
    finally:
        consumer.close()
    assert message is not None, f"{topic} does not answer"
    return pairs


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


def _records(path: Path) -> Iterator[Pair]:
    data = path.read_bytes()
    for start, header in iter_batches(data):
        if not header.is_control:
            yield from ((record.key, record.value) for record in iter_records(data, start))


def _decoded(text: str) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Key and value of every record that the tool printed."""
    decoder = json.JSONDecoder()
    for line in text.splitlines():
        _, found, rest = line.partition(" key: ")
        if line.startswith("| offset:") and found:
            key, end = decoder.raw_decode(rest)
            payload = rest[end:].removeprefix(" payload: ")
            yield key, json.loads(payload) if payload.startswith("{") else None
