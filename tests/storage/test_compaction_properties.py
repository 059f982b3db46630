"""Whatever is produced, deleted, compacted, closed or killed, in any order: a log is what a dictionary would be."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.storage.batches import read_all
from tests.storage.test_compaction import config

from rota.storage import Log
from rota.storage.cleanable import cleanable
from rota.storage.compaction import compact, run_now
from rota.wire.compression import CODECS
from rota.wire.records import Record, build_batch

_KEYS = [b"a", b"b", b"c", b"a key that is longer", b""]
_ENTRY = st.tuples(st.sampled_from(_KEYS), st.none() | st.binary(max_size=60))


class CompactedLog(RuleBasedStateMachine):
    """One log, and every record that was ever appended to it."""

    def __init__(self) -> None:
        super().__init__()
        self._home = tempfile.TemporaryDirectory()
        self.now_ms = 1_000
        self.written: list[Record] = []
        self.cleaned_to: int | None = None
        self.sequence = 0
        self.log: Log

    @initialize(on_disk=st.booleans(), segment_bytes=st.sampled_from([300, 700, 2_000]))
    def open(self, on_disk: bool, segment_bytes: int) -> None:
        self.where = Path(self._home.name) if on_disk else None
        self.config = config(segment_bytes=segment_bytes)
        self.log = Log.open(self.where, self.config, now_ms=self.now_ms)

    @rule(
        entries=st.lists(_ENTRY, min_size=1, max_size=6),
        codec=st.sampled_from(CODECS),
        is_idempotent=st.booleans(),
        step=st.integers(-5, 300),
    )
    def append(
        self, entries: list[tuple[bytes, bytes | None]], codec: str, is_idempotent: bool, step: int
    ) -> None:
        self.now_ms += max(step, 0)
        at = self.now_ms + min(step, 0)
        producer: dict[str, Any] = {}
        if is_idempotent:
            producer = {"producer_id": 9, "producer_epoch": 0, "base_sequence": self.sequence}
            self.sequence += len(entries)
        batch = build_batch(
            [(key, value, at + number, [("h", b"x")]) for number, (key, value) in enumerate(entries)],
            compression=codec,
            **producer,
        )
        base = self.log.append(batch, self.now_ms).base_offset
        for number, (key, value) in enumerate(entries):
            self.written.append(Record(base + number, at + number, key, value, [("h", b"x")]))

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
        keys = [record.key for record in read_all(self.log) if record.offset < end]
        assert len(keys) == len(set(keys))

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
    def a_reader_knows_what_a_dictionary_would(self) -> None:
        if not hasattr(self, "log"):
            return
        records = read_all(self.log)
        by_offset = {record.offset: record for record in self.written}
        # What is there is what was written, where it was written.
        assert all(by_offset[record.offset] == record for record in records)
        assert [record.offset for record in records] == sorted({record.offset for record in records})
        expected = {record.key: record for record in self.written}
        found = {record.key: record for record in records}
        for key, record in expected.items():
            if record.value is not None:
                assert found[key] == record
            else:
                assert key not in found or found[key] == record
        assert set(found) <= set(expected)
        active = self.log.segments[-1].base_offset
        assert [each for each in records if each.offset >= active] == [
            each for each in self.written if each.offset >= active
        ]
        if self.sequence:
            assert self.log.producers.by_id[9].last_sequence == self.sequence - 1

    @invariant()
    def every_offset_can_be_asked_for(self) -> None:
        if not hasattr(self, "log"):
            return
        offsets = [record.offset for record in read_all(self.log)]
        for offset in range(self.log.log_end_offset):
            found = read_all(self.log, start=offset)
            assert [record.offset for record in found] == [each for each in offsets if each >= offset]

    def teardown(self) -> None:
        self._home.cleanup()


CompactedLog.TestCase.settings = settings(
    max_examples=80, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestCompactedLog = CompactedLog.TestCase
