"""Whatever is produced, deleted, committed, aborted, compacted, closed or killed: a log is what a dictionary would be.

A reader of committed records is asked: it sees the latest committed value of each key, and nothing aborted.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.storage.committed import batches, committed, end_transaction
from tests.storage.test_compaction import config

from rota.storage import Log
from rota.storage.cleanable import cleanable
from rota.storage.compaction import compact, run_now
from rota.wire.compression import CODECS
from rota.wire.records import Record, build_batch, iter_records

_KEYS = [b"a", b"b", b"c", b"a key that is longer", b""]
_TRANSACTIONAL = [20, 21, 22]  # producer ids
_ENTRY = st.tuples(st.sampled_from(_KEYS), st.none() | st.binary(max_size=60))


class CompactedLog(RuleBasedStateMachine):
    """One log, and every record that was ever appended to it."""

    def __init__(self) -> None:
        super().__init__()
        self._home = tempfile.TemporaryDirectory()
        self.now_ms = 1_000
        self.written: list[Record] = []
        self.cleaned_to: int | None = None
        self.aborted: set[int] = set()  # offsets
        self.ongoing: dict[int, list[int]] = {}  # producer id -> offsets of its transaction
        self.sequences: dict[int, int] = {}
        self.log: Log

    @initialize(on_disk=st.booleans(), segment_bytes=st.sampled_from([300, 2_000, 10_000]))
    def open(self, on_disk: bool, segment_bytes: int) -> None:
        self.where = Path(self._home.name) if on_disk else None
        self.config = config(segment_bytes=segment_bytes)
        self.log = Log.open(self.where, self.config, now_ms=self.now_ms)

    @rule(
        entries=st.lists(_ENTRY, min_size=1, max_size=6),
        codec=st.sampled_from(CODECS),
        producer_id=st.sampled_from([-1, 9, *_TRANSACTIONAL]),
        step=st.integers(-5, 300),
    )
    def append(
        self, entries: list[tuple[bytes, bytes | None]], codec: str, producer_id: int, step: int
    ) -> None:
        self.now_ms += max(step, 0)
        at = self.now_ms + min(step, 0)
        producer: dict[str, Any] = {}
        if producer_id >= 0:
            first = self.sequences.get(producer_id, 0)
            producer = {"producer_id": producer_id, "producer_epoch": 0, "base_sequence": first}
            self.sequences[producer_id] = first + len(entries)
        batch = build_batch(
            [(key, value, at + number, [("h", b"x")]) for number, (key, value) in enumerate(entries)],
            compression=codec,
            transactional=producer_id in _TRANSACTIONAL,
            **producer,
        )
        base = self.log.append(batch, self.now_ms).base_offset
        for number, (key, value) in enumerate(entries):
            self.written.append(Record(base + number, at + number, key, value, [("h", b"x")]))
        if producer_id in _TRANSACTIONAL:
            self.ongoing.setdefault(producer_id, []).extend(range(base, base + len(entries)))

    @rule(
        parts=st.lists(st.tuples(st.sampled_from([-1, 20, 20]), _ENTRY), min_size=2, max_size=6),
        commits=st.booleans(),
    )
    def append_transaction(self, parts: list[tuple[int, tuple[bytes, bytes | None]]], commits: bool) -> None:
        """A short one, with others' records in between."""
        for producer_id, entry in parts:
            self.append([entry], "none", producer_id, 0)
        self.end(20, commits)

    @rule(producer_id=st.sampled_from(_TRANSACTIONAL), commits=st.booleans())
    def end(self, producer_id: int, commits: bool) -> None:
        offsets = self.ongoing.pop(producer_id, [])  # a marker may come where nothing was written
        if not commits:
            self.aborted.update(offsets)
        end_transaction(self.log, producer_id, self.now_ms, commits=commits)

    @rule()
    def roll(self) -> None:
        self.log.roll(self.now_ms)

    @rule(max_keys=st.sampled_from([1, 2, 100]), wait=st.sampled_from([0, 500, 5_000]))
    def compact(self, max_keys: int, wait: int) -> None:
        self.now_ms += wait
        active = self.log.segments[-1]
        held = b"".join(bytes(chunk) for chunk in active.region(0, active.size)) if active.size else b""
        what = cleanable(self.log, self.cleaned_to, self.now_ms)
        if not what.dirty_bytes:
            return
        done = run_now(compact(what, self.now_ms, max_keys=max_keys))
        assert done is not None
        assert what.first_dirty < done.end_offset <= active.base_offset
        self.cleaned_to = done.end_offset
        assert self.log.segments[-1] is active
        assert (b"".join(bytes(chunk) for chunk in active.region(0, active.size)) if held else b"") == held
        self.check_that_nothing_is_kept_twice(done.end_offset)

    def check_that_nothing_is_kept_twice(self, end: int) -> None:
        left = [record for record in self.data() if record.offset < end]
        keys = [record.key for record in left]
        assert len(keys) == len(set(keys))
        assert not {record.offset for record in left} & self.aborted

    def data(self) -> list[Record]:
        """All records that are there, aborted ones too."""
        return [
            record
            for header, data, position in batches(self.log, 0, self.log.log_end_offset)
            if not header.is_control
            for record in iter_records(data, position)
        ]

    @property
    def stable(self) -> int:
        return min((offsets[0] for offsets in self.ongoing.values()), default=self.log.log_end_offset)

    @rule()
    def close_and_open(self) -> None:
        if self.where is not None:
            self.log.close(sync=False)
            self._reopen(None)

    @rule()
    def kill_and_open(self) -> None:
        if self.where is not None:
            self._reopen(0)

    def _reopen(self, recover_from: int | None) -> None:
        end = self.log.log_end_offset
        self.log = Log.open(self.where, self.config, now_ms=self.now_ms, recover_from=recover_from)
        assert self.log.log_end_offset == end

    @invariant()
    def what_is_there_is_what_was_written_where_it_was_written(self) -> None:
        if not hasattr(self, "log"):
            return
        records = self.data()
        by_offset = {record.offset: record for record in self.written}
        assert all(by_offset[record.offset] == record for record in records)
        assert [record.offset for record in records] == sorted({record.offset for record in records})
        active = self.log.segments[-1].base_offset
        untouched = min(active, self.stable)
        for begin in (active, untouched):
            # Behind an open transaction only what was aborted may be gone.
            assert [each for each in records if each.offset >= begin and each.offset not in self.aborted] == [
                each for each in self.written if each.offset >= begin and each.offset not in self.aborted
            ]
        assert {each.offset for each in self.written if each.offset >= active} <= {
            each.offset for each in records
        }
        for producer_id, sequence in self.sequences.items():
            assert self.log.producers.by_id[producer_id].last_sequence == sequence - 1

    @invariant()
    def a_reader_of_committed_records_knows_what_a_dictionary_would(self) -> None:
        if not hasattr(self, "log"):
            return
        assert self.log.last_stable_offset == self.stable
        expected = {
            record.key: record
            for record in self.written
            if record.offset < self.stable and record.offset not in self.aborted
        }
        seen = committed(self.log)
        assert not {record.offset for record in seen} & self.aborted
        found = {record.key: record for record in seen}
        for key, record in expected.items():
            if record.value is not None:
                assert found[key] == record
            else:
                assert key not in found or found[key] == record
        assert set(found) <= set(expected)

    @invariant()
    def every_offset_can_be_asked_for(self) -> None:
        if not hasattr(self, "log"):
            return
        offsets = [record.offset for record in committed(self.log)]
        for offset in range(self.log.last_stable_offset):
            found = [record.offset for record in committed(self.log, offset)]
            assert found == [each for each in offsets if each >= offset]

    def teardown(self) -> None:
        self._home.cleanup()


CompactedLog.TestCase.settings = settings(
    max_examples=80, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestCompactedLog = CompactedLog.TestCase
