"""``kafka-dump-log`` reads every file of a log that Rota has compacted, and finds nothing wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.storage.batches import read_all
from tests.storage.test_compaction import config
from tests.storage.test_kafka_tools import dump

from rota.storage import Log
from rota.storage.cleanable import cleanable
from rota.storage.compaction import compact, run_now
from rota.wire.compression import CODECS
from rota.wire.records import build_batch, end_marker


@pytest.fixture(scope="module")
def compacted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """Every codec, deletions, transactions, a producer whose last batch is empty; and how many records are left."""
    where = tmp_path_factory.mktemp("t-0")
    log = Log.open(where, config(segment_bytes=3_000, index_interval_bytes=200), now_ms=1_000)
    for number in range(150):
        producer = (7, 1, 4 * number) if number < 60 else (-1, -1, -1)
        records = [
            (b"key %d" % ((number + each) % 60), None if number % 7 == each else b"value %d" % number, at, ())
            for each, at in enumerate(range(1_000 + number * 3, 1_004 + number * 3))
        ]
        codec = CODECS[number % len(CODECS)]
        batch = build_batch(
            records,
            compression=codec,
            producer_id=producer[0],
            producer_epoch=producer[1],
            base_sequence=producer[2],
        )
        log.append(batch, 1_000 + number, check=False)
        if number in {70, 90}:
            batch = build_batch(
                [(b"in a transaction", b"%d" % number, 1_300, ())],
                producer_id=8,
                producer_epoch=0,
                base_sequence=number // 90,
                transactional=True,
            )
            log.append(batch, 1_000, check=False)
            marker = end_marker(
                committed=number == 70, producer_id=8, producer_epoch=0, coordinator_epoch=0, timestamp=1_300
            )
            log.append(marker, 1_000, check=False)
    run_now(compact(cleanable(log, None, 2_000), 2_000))
    assert len(log.segments) > 2
    count = len([record for record in read_all(log) if record.offset < log.segments[-1].base_offset])
    log.close()
    return where, count


def test_every_batch_is_valid(compacted: tuple[Path, int]) -> None:
    where, count = compacted
    files = sorted(where.glob("*.log"))[:-1]
    text = dump(files, "--deep-iteration", "--print-data-log")
    assert "isvalid: false" not in text
    assert re.search(r"baseOffset: 236 lastOffset: 239 count: 0 .*producerId: 7", text)
    assert len(re.findall(r"^\| offset: ", text, re.MULTILINE)) == count
    assert "deleteHorizonMs: OptionalLong[3000]" in text
    assert text.count("endTxnMarker: ") == 2


def test_indexes_match_their_logs(compacted: tuple[Path, int]) -> None:
    where, _ = compacted
    files = sorted([*where.glob("*.index"), *where.glob("*.timeindex")])
    text = dump(files)
    assert not re.search(r"mismatch|not found|out of order|should equal|non-consecutive", text, re.IGNORECASE)
    assert text.count("offset: ") > 10
    # The tool calls an empty index of a small segment that, and not sane.
    indexes = [each for each in sorted(where.glob("*.index")) if each.stat().st_size]
    checked = dump(indexes, "--index-sanity-check")
    assert checked.count("passed sanity check") == len(indexes) > 2
    transactions = dump(sorted(where.glob("*.txnindex")))
    assert len(re.findall(r"producerId: 8", transactions)) == 1
