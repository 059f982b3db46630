"""The coordinator's records have the bytes that Apache Kafka 4.1 writes."""

import pytest

from rota.coordinator import LogRecord
from rota.coordinator.log_format import decode_record, encode_record
from rota.wire import WireError
from rota.wire.messages.group_log import (
    GroupMetadataKey,
    GroupMetadataValue,
    MemberMetadata,
    OffsetCommitKey,
    OffsetCommitValue,
)

OFFSET_KEY = b"\0\1" + b"\0\1g" + b"\0\1t" + b"\0\0\0\2"
GROUP_KEY = b"\0\2" + b"\0\1g"


def test_offset() -> None:
    """Kind 1, value version 4: offset, leader epoch, metadata, commit time, no tags. Version 3 is read too."""
    record = LogRecord(
        OffsetCommitKey(group="g", topic="t", partition=2),
        OffsetCommitValue(offset=17, leader_epoch=-1, metadata="m", commit_timestamp=5),
    )
    beginning, time = (17).to_bytes(8, "big") + b"\xff\xff\xff\xff", (5).to_bytes(8, "big")
    value = b"\0\4" + beginning + b"\2m" + time + b"\0"
    assert encode_record(record) == (OFFSET_KEY, value)
    assert decode_record(OFFSET_KEY, value) == record
    assert decode_record(OFFSET_KEY, b"\0\3" + beginning + b"\0\1m" + time) == record


def test_offset_with_an_expiry_of_its_own() -> None:
    """Value version 1, which alone has an expiry, and no leader epoch."""
    record = LogRecord(
        OffsetCommitKey(group="g", topic="t", partition=2),
        OffsetCommitValue(offset=17, metadata="", commit_timestamp=5, expire_timestamp=9),
    )
    value = b"\0\1" + (17).to_bytes(8, "big") + b"\0\0" + (5).to_bytes(8, "big") + (9).to_bytes(8, "big")
    assert encode_record(record) == (OFFSET_KEY, value)
    assert decode_record(OFFSET_KEY, value) == record


def test_group() -> None:
    """Kind 2, value version 3."""
    member = MemberMetadata(
        member_id="m",
        group_instance_id=None,
        client_id="c",
        client_host="/h",
        rebalance_timeout=2,
        session_timeout=1,
        subscription=b"s",
        assignment=b"a",
    )
    record = LogRecord(
        GroupMetadataKey(group="g"),
        GroupMetadataValue(
            protocol_type="consumer",
            generation=4,
            protocol="range",
            leader="m",
            current_state_timestamp=7,
            members=[member],
        ),
    )
    value = b"".join(
        [
            b"\0\3",
            b"\0\x08consumer",
            b"\0\0\0\4",
            b"\0\5range",
            b"\0\1m",
            (7).to_bytes(8, "big"),
            b"\0\0\0\1",
            b"\0\1m",
            b"\xff\xff",
            b"\0\1c",
            b"\0\2/h",
            b"\0\0\0\2",
            b"\0\0\0\1",
            b"\0\0\0\1s",
            b"\0\0\0\1a",
        ]
    )
    assert encode_record(record) == (GROUP_KEY, value)
    assert decode_record(GROUP_KEY, value) == record


def test_tombstones() -> None:
    """A null value, whatever the kind."""
    offset = LogRecord(OffsetCommitKey(group="g", topic="t", partition=2), None)
    group = LogRecord(GroupMetadataKey(group="g"), None)
    assert encode_record(offset) == (OFFSET_KEY, None)
    assert encode_record(group) == (GROUP_KEY, None)
    assert decode_record(OFFSET_KEY, None) == offset
    assert decode_record(GROUP_KEY, None) == group


def test_records_of_other_kinds_are_skipped() -> None:
    """Share groups and what else Kafka keeps in the same topic."""
    assert decode_record(b"\0\x0b\0\1g", b"\0\0\0\0\0\1\0") is None


@pytest.mark.parametrize(
    ("key", "value"), [(b"", None), (b"\0", None), (b"\0\1\0\5g", None), (GROUP_KEY, b"\0\x63")]
)
def test_damaged_records(key: bytes, value: bytes | None) -> None:
    """Bytes that are not what they say are the log's fault, not ours."""
    with pytest.raises(WireError):
        decode_record(key, value)
