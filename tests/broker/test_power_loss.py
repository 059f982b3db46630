"""The power fails at any moment: what a broker has promised is there when it starts again, and it always starts.

A broker is used in all ways while everything that it does to its files is written down; then the directory is built
as it may be after a cut, hundreds of times, and a broker is started on it. Seeded: a failure can be had again.
"""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.broker.workload import Promise, Workload, broker_on, without_threads
from tests.storage.power import Recorder, after_power_cut

from rota.broker.broker import Broker
from rota.model import TopicPartition
from rota.storage import Log
from rota.storage.metadata import id_text
from rota.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
)
from rota.wire.records import Record, check_batch, iter_batches, iter_records, read_end_marker

SYNCED = {"log.flush.interval.messages": "1"}
STEPS = 120


@pytest.fixture(autouse=True)
def _one_thread_and_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    without_threads(monkeypatch)
    for name in ("fsync", "fdatasync"):
        # This machine keeps its power. (macOS has no fdatasync.)
        monkeypatch.setattr(os, name, lambda _descriptor: None, raising=False)


def _used(where: Path, seed: int, configs: dict[str, str]) -> tuple[Recorder, Workload]:
    """Use a broker in ``where``, with restarts in between, clean ones and others."""
    where.mkdir()
    recorder = Recorder(where)
    workload = Workload(recorder, seed)
    with pytest.MonkeyPatch.context() as patch:
        recorder.start(patch)
        for run in range(3):
            with broker_on(where, configs) as broker:
                if not run:
                    workload.begin(broker)
                for _ in range(STEPS // 3):
                    workload.step(broker)
                if workload.chance.random() < 0.5:
                    broker.close()
    return recorder, workload


@pytest.mark.parametrize("order", ["in-order", "loose"])
@pytest.mark.parametrize("configs", [SYNCED, {}], ids=["synced", "default"])
def test_what_was_promised_is_there_after_a_power_cut(
    tmp_path: Path, crashes: int, configs: dict[str, str], order: str
) -> None:
    chance = random.Random(f"{configs} {order}")
    for number in range(crashes):
        if not number % 25:
            shutil.rmtree(tmp_path / "data", ignore_errors=True)
            recorder, workload = _used(tmp_path / "data", chance.randrange(2**32), configs)
        cut = chance.randint(0, len(recorder.changes))
        seed = chance.randrange(2**32)
        where = tmp_path / "left"
        try:
            after_power_cut(recorder, cut, where, random.Random(seed), loose=order == "loose")
            _check(where, workload, cut, configs)
        except BaseException as error:
            error.add_note(f"crash {number}, after {cut} of {len(recorder.changes)} changes, seed {seed}")
            raise
        shutil.rmtree(where)


def _check(where: Path, workload: Workload, cut: int, configs: dict[str, str]) -> None:
    with broker_on(where, configs) as broker:
        promises = _Promises(workload, cut, is_synced=configs is SYNCED)
        promises.check(broker)
        ends = {tp: log.log_end_offset for tp, log in broker.topics.logs()}
        if cut % 3:
            broker.close()
    with broker_on(where, configs) as broker:
        assert {tp: log.log_end_offset for tp, log in broker.topics.logs()} == ends
        for _, log in broker.topics.logs():
            _check_log(log)


class _Promises:
    """What must be there after ``cut`` changes, and what may be."""

    def __init__(self, workload: Workload, cut: int, *, is_synced: bool) -> None:
        self.workload = workload
        self.kept = [each for each in workload.promises if each.at <= cut]
        self.more = [each for each in workload.promises if each.at > cut]
        self.is_synced = is_synced

    def last(self, *wanted: str, **detail: Any) -> tuple[Promise | None, Promise | None]:
        """The last that was kept, and the one that was perhaps under way, of those whose first detail is that."""

        def fits(each: Promise) -> bool:
            return each.what in wanted and each.detail[0] == detail["of"]

        kept = next((each for each in reversed(self.kept) if fits(each)), None)
        return kept, next((each for each in self.more if fits(each)), None)

    def check(self, broker: Broker) -> None:
        self._check_topics(broker)
        for tp, log in broker.topics.logs():
            records = _check_log(log)
            if not tp.topic.startswith("__"):
                self._check_records(tp, log, records)
        self._check_offsets(broker)
        if self.is_synced:
            self._check_transactions(broker)
        for what, (producer_id, *_) in [(each.what, each.detail) for each in self.kept]:
            if what == "producer id":
                assert broker.next_producer_id() > producer_id
        self._check_producers(broker)

    def _check_topics(self, broker: Broker) -> None:
        for name in ("orders", "latest", "brief"):
            kept, coming = self.last("topic", "no topic", of=name)
            allowed: list[object] = []
            for each in (kept, coming):
                if each is None or each.what == "no topic":
                    allowed.append(None)
                else:
                    allowed.append((each.detail[1], each.detail[2]))
            if coming is None:
                del allowed[1]
            found = broker.topics.get(name)
            assert (None if found is None else (found.id, found.configs)) in allowed

    def _life(self, tp: TopicPartition, log: Log) -> tuple[int, list[Promise]]:
        """When the topic with the id that the directory tells of was made, and what was sent to it."""
        assert log.directory is not None
        text = (log.directory / "partition.metadata").read_text().split()[-1]
        about = [each for each in self.workload.promises if each.detail[0] == tp.topic]
        since = min(each.at for each in about if each.what == "topic" and id_text(each.detail[1]) == text)
        until = min((each.at for each in about if each.what == "no topic" and each.at > since), default=2**62)
        sent = [
            each
            for each in self.workload.promises
            if each.what == "records" and each.detail[0] == tp and since < each.at < until
        ]
        return since, sent

    def _check_records(self, tp: TopicPartition, log: Log, records: list[Record]) -> None:
        since, batches = self._life(tp, log)
        there = {record.offset: record.value for record in records}
        kept, coming = self.last("start", of=tp)
        least = kept.detail[1] if kept else 0
        assert least <= log.log_start_offset <= (coming.detail[1] if coming else least)
        safe = self.last("safe", of=tp)[0]
        if safe is not None and safe.at > since:
            assert log.log_end_offset >= safe.detail[1], (tp, safe)
        for promise in batches:
            is_promised = self.is_synced and promise in self.kept
            for offset, value in enumerate(promise.detail[2], promise.detail[1]):
                found = there.get(offset)
                if found is not None and (is_promised or not found.startswith(b"\0")):
                    assert found == value, (tp, offset)  # what was under way may be a marker now
                if is_promised and offset >= log.log_start_offset:
                    assert offset < log.log_end_offset, (tp, offset)
                    assert found is not None or tp.topic == "latest", (tp, offset)

    def _check_offsets(self, broker: Broker) -> None:
        for group in ("g1", "g2"):
            found = _committed(self.workload, broker, group)
            kept, _ = self.last("offset", of=group)
            if self.is_synced and kept is not None:
                assert found >= kept.detail[1]
            known = {each.detail[1] for each in self.workload.promises if each.what == "offset"}
            assert found == -1 or found in known

    def _check_transactions(self, broker: Broker) -> None:
        for each in self.kept:
            if each.what != "ended":
                continue
            committed, batches = each.detail
            for tp, offset, value in batches:
                log = broker.topics.log(tp)
                if offset < log.log_start_offset:
                    continue
                assert log.last_stable_offset > offset, (tp, offset)
                producer_id = self.workload.ids["txn"][0]
                aborted = [
                    one
                    for one in log.aborted
                    if one.producer_id == producer_id and one.first_offset <= offset <= one.last_offset
                ]
                assert bool(aborted) is not committed, (tp, offset, value)

    def _check_producers(self, broker: Broker) -> None:
        """A batch that is sent again is recognised, if it is the producer's last one."""
        sent = {
            (each.detail[0], each.detail[1]): each.detail
            for each in self.workload.promises
            if each.what == "records" and each.detail[3] is not None
        }
        for partition in (0, 1):
            tp = TopicPartition("orders", partition)
            log = broker.topics.find_log(*tp)
            if log is None:
                continue
            state = log.producers.by_id.get(self.workload.ids["exact"][0])
            if state is None or not state.batches:
                continue
            last = state.batches[-1]
            _, offset, _, copy = sent[tp, last.base_offset]
            end = log.log_end_offset
            assert self.workload.send(broker, tp, bytearray(copy)) == (0, offset)
            assert log.log_end_offset == end


def _committed(workload: Workload, broker: Broker, group: str) -> int:
    topic = OffsetFetchRequestTopics(name="orders", partition_indexes=[0])
    wanted = OffsetFetchRequestGroup(group_id=group, topics=[topic])
    request = OffsetFetchRequest(groups=[wanted])
    answer = workload.call(broker, lambda asked: broker.groups.handle(request, asked), 8)
    offset: int = answer.groups[0].topics[0].partitions[0].committed_offset
    return offset


def _read_all(log: Log) -> list[Record]:
    """Every record, fetched as a consumer does; checks every checksum."""
    records: list[Record] = []
    offset = log.log_start_offset
    while offset < log.log_end_offset:
        piece = log.read(offset, 1_000_000)
        data = b"".join(bytes(chunk) for chunk in piece.chunks)
        if not data and "compact" in log.config.cleanup_policy:
            break  # nothing is left between here and the end
        assert len(data) == piece.size > 0, log.directory
        for position, header in iter_batches(data):
            check_batch(data, position)
            records += [each for each in iter_records(data, position) if each.offset >= offset]
            offset = header.next_offset
    return records


def _check_log(log: Log) -> list[Record]:
    """Every checksum, the order of offsets, the indexes, and what is known of transactions."""
    records = _read_all(log)
    offsets = [record.offset for record in records]
    assert offsets == sorted(set(offsets))
    if "compact" not in log.config.cleanup_policy:
        assert offsets == list(range(log.log_start_offset, log.log_end_offset))
    ongoing: dict[int, int] = {}
    aborted: list[tuple[int, int, int]] = []
    for segment in log.segments:
        ends = {}
        largest = -1
        for position, header in segment.scan():
            ends[header.last_offset - segment.base_offset] = position
            largest = max(largest, header.max_timestamp)
            if header.is_control:
                marker = read_end_marker(segment.batch_at(position), 0)
                assert marker is not None
                first = ongoing.pop(header.producer_id, -1)
                if not marker.committed and (first >= 0 or "compact" in log.config.cleanup_policy):
                    aborted.append((header.producer_id, first, header.base_offset))
            elif header.is_transactional:
                ongoing.setdefault(header.producer_id, header.base_offset)
        index = segment.index
        for offset, position in zip(index.offsets, index.positions, strict=True):
            assert ends[offset] == position, (segment.base_offset, offset)
        assert segment.max_timestamp == largest, segment.path(".log")
        assert list(segment.times.timestamps) == sorted(set(segment.times.timestamps))
    known = [(each.producer_id, each.first_offset, each.last_offset) for each in log.aborted]
    if "compact" in log.config.cleanup_policy:
        assert {each[2] for each in known} <= {each[2] for each in aborted}, log.directory
    else:
        # Where a transaction began that reaches back behind the first segment, only the files know.
        base = log.bases[0]
        whole = [each for each in known if each[1] >= base]
        reaching = {each[2] for each in known if each[1] < base}
        assert whole == [each for each in aborted if each[2] not in reaching], log.directory
    return records
