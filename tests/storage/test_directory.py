"""The data directory: the lock, Kafka's small files, partitions that come and go."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.storage.batches import SMALL, batch, values

from rota.model import RotaError, TopicPartition
from rota.storage import FileRegion, LogConfig, LogDirectory, MetadataStore
from rota.storage.checkpoints import read_offsets

TOPIC_ID = bytes(range(16))
TP = TopicPartition("orders", 0)


def crash(directory: LogDirectory) -> None:
    """What kill -9 leaves: the lock is free, nothing was written."""
    import os

    assert directory._lock is not None
    os.close(directory._lock)
    directory._lock = None


def test_second_opener_is_told_who_has_it(tmp_path: Path) -> None:
    first = LogDirectory.open(tmp_path)
    with pytest.raises(RotaError, match="in use by another broker") as caught:
        LogDirectory.open(tmp_path)
    assert str(tmp_path) in str(caught.value)
    first.close()
    LogDirectory.open(tmp_path).close()


def test_records_survive_close_and_crash(tmp_path: Path) -> None:
    expected: list[bytes | None] = []
    for how in (LogDirectory.close, crash, crash, LogDirectory.close):
        directory = LogDirectory.open(tmp_path)
        log = directory.open_log(TP, TOPIC_ID, SMALL, now_ms=1_000)
        assert values(log) == expected
        for number in range(20):
            log.append(batch(b"%d" % number), 1_000)
            expected.append(b"%d" % number)
        how(directory)
    assert LogDirectory.open(tmp_path).open_log(TP, TOPIC_ID, SMALL, now_ms=1000).recovery_point != 0


def test_clean_shutdown_is_known(tmp_path: Path) -> None:
    first = LogDirectory.open(tmp_path)
    first.close()
    assert (tmp_path / ".kafka_cleanshutdown").exists()
    second = LogDirectory.open(tmp_path)
    assert second.was_clean
    assert not (tmp_path / ".kafka_cleanshutdown").exists()
    crash(second)
    third = LogDirectory.open(tmp_path)
    assert not third.was_clean


def test_start_offset_survives(tmp_path: Path) -> None:
    directory = LogDirectory.open(tmp_path)
    log = directory.open_log(TP, TOPIC_ID, LogConfig(), now_ms=1_000)
    for _ in range(10):
        log.append(batch(b"x"), 1_000)
    log.delete_records(7)
    directory.write_checkpoints()
    assert read_offsets(tmp_path / "log-start-offset-checkpoint") == {TP: 7}
    crash(directory)
    again = LogDirectory.open(tmp_path)
    assert again.open_log(TP, TOPIC_ID, LogConfig(), now_ms=1_000).log_start_offset == 7


def test_files_are_kafkas(tmp_path: Path) -> None:
    directory = LogDirectory.open(tmp_path, node_id=3)
    for partition in (1, 0):
        log = directory.open_log(TopicPartition("orders", partition), TOPIC_ID, SMALL, now_ms=1_000)
        for _ in range(20):
            log.append(batch(b"x"), 1_000)
    cluster = directory.metadata.cluster_id
    directory.close()
    for name in ("recovery-point-offset-checkpoint", "replication-offset-checkpoint"):
        assert (tmp_path / name).read_text() == "0\n2\norders 0 20\norders 1 20\n"
    assert (tmp_path / "log-start-offset-checkpoint").exists() is False
    properties = (tmp_path / "meta.properties").read_text().splitlines()
    assert properties[:2] == ["version=1", "node.id=3"]
    assert properties[3] == f"cluster.id={cluster}"
    assert (tmp_path / "orders-0" / "partition.metadata").read_text() == (
        "version: 0\ntopic_id: AAECAwQFBgcICQoLDA0ODw"
    )
    assert (tmp_path / "orders-0" / "leader-epoch-checkpoint").read_text() == "0\n1\n0 0\n"
    assert json.loads((tmp_path / ".kafka_cleanshutdown").read_text())["version"] == 0


def test_other_brokers_directory_is_refused(tmp_path: Path) -> None:
    LogDirectory.open(tmp_path, node_id=3).close()
    with pytest.raises(RotaError, match=r"node\.id 3, not 4"):
        LogDirectory.open(tmp_path, node_id=4)
    LogDirectory.open(tmp_path, node_id=3).close()


def test_deleted_partition_is_gone(tmp_path: Path) -> None:
    directory = LogDirectory.open(tmp_path)
    log = directory.open_log(TP, TOPIC_ID, SMALL, now_ms=1_000)
    log.append(batch(b"x"), 1_000)
    piece = log.read(0, 1_000)
    directory.delete(TP)
    assert not list(tmp_path.glob("orders*"))
    assert len(bytes(piece.chunks[0])) == piece.size
    assert directory.open_log(TP, bytes(16), SMALL, now_ms=1_000).log_end_offset == 0


def test_half_deleted_partition_is_removed_at_the_next_start(tmp_path: Path) -> None:
    LogDirectory.open(tmp_path).close()
    left = tmp_path / "orders-0.0123456789abcdef-delete"
    left.mkdir()
    (left / "00000000000000000000.log").write_bytes(b"x")
    LogDirectory.open(tmp_path)
    assert not left.exists()


def test_namesake_of_a_topic_that_is_no_more_begins_empty(tmp_path: Path) -> None:
    directory = LogDirectory.open(tmp_path)
    directory.open_log(TP, TOPIC_ID, SMALL, now_ms=1_000).append(batch(b"x"), 1_000)
    crash(directory)
    again = LogDirectory.open(tmp_path)
    assert again.open_log(TP, bytes(16), SMALL, now_ms=1_000).log_end_offset == 0


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "a b", "a\n", "a\0", "x" * 250, "ä"])
def test_illegal_names_never_reach_the_disk(tmp_path: Path, name: str) -> None:
    directory = LogDirectory.open(tmp_path)
    with pytest.raises(AssertionError):
        directory.open_log(TopicPartition(name, 0), TOPIC_ID, SMALL, now_ms=1_000)


@pytest.mark.parametrize("name", ["recovery-point-offset-checkpoint", "log-start-offset-checkpoint"])
def test_a_damaged_checkpoint_is_named_and_done_without(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    directory = LogDirectory.open(tmp_path)
    log = directory.open_log(TP, TOPIC_ID, SMALL, now_ms=1_000)
    for number in range(20):
        log.append(batch(b"%d" % number), 1_000)
    log.delete_records(3)
    directory.close()
    path = tmp_path / name
    path.write_bytes(path.read_bytes().replace(b"orders", b"ord\xffrs"))
    again = LogDirectory.open(tmp_path)
    assert str(path) in caplog.text
    log = again.open_log(TP, TOPIC_ID, SMALL, now_ms=1_000)
    assert log.log_end_offset == 20
    assert values(log)[-1] == b"19"
    again.close()
    assert read_offsets(path).get(TP, 0) in {0, 3, 20}


def test_a_damaged_partition_metadata_does_not_cost_the_records(tmp_path: Path) -> None:
    directory = LogDirectory.open(tmp_path)
    directory.open_log(TP, TOPIC_ID, SMALL, now_ms=1_000).append(batch(b"x"), 1_000)
    directory.close()
    identity = tmp_path / "orders-0" / "partition.metadata"
    written = identity.read_text()
    for damaged in ("", "version: 0\n", written.replace("topic", "topi\0")):
        identity.write_text(damaged)
        again = LogDirectory.open(tmp_path)
        assert again.open_log(TP, TOPIC_ID, SMALL, now_ms=1_000).log_end_offset == 1
        again.close()
        assert identity.read_text() == written


def test_checkpoints_of_a_deleted_topic_are_not_its_namesakes(tmp_path: Path) -> None:
    """Deleted up to 15, deleted as a whole, made again: what a crash leaves of the new one begins at 0."""
    directory = LogDirectory.open(tmp_path)
    log = directory.open_log(TP, TOPIC_ID, SMALL, now_ms=1_000)
    for _ in range(20):
        log.append(batch(b"x"), 1_000)
    log.flush()
    log.delete_records(15)
    directory.write_checkpoints()
    directory.delete(TP)
    log = directory.open_log(TP, bytes(16), SMALL, now_ms=1_000)
    for _ in range(10):
        log.append(batch(b"y"), 1_000)
    crash(directory)
    torn = next(iter(sorted((tmp_path / "orders-0").glob("*.log"))))
    torn.write_bytes(torn.read_bytes()[:-1])
    again = LogDirectory.open(tmp_path).open_log(TP, bytes(16), SMALL, now_ms=1_000)
    assert again.log_start_offset == 0
    assert 0 < again.log_end_offset < 10
    assert set(values(again)) == {b"y"}


def test_memory_directory() -> None:
    directory = LogDirectory.open(None)
    log = directory.open_log(TP, TOPIC_ID, SMALL, now_ms=1_000)
    log.append(batch(b"x"), 1_000)
    assert (directory.name, directory.volume()) == ("memory", (-1, -1))
    directory.metadata.put_topic("orders", TOPIC_ID, 1, {})
    directory.delete(TP)
    assert directory.logs == {}
    directory.close()


# --- metadata -----------------------------------------------------------------------------------------------


def test_metadata_survives(tmp_path: Path) -> None:
    store = MetadataStore.open(tmp_path)
    store.put_topic("b", TOPIC_ID, 3, {"retention.ms": "5"})
    store.put_topic("a", bytes(16), 1, {})
    store.put_topic("gone", bytes(16), 1, {})
    store.remove_topic("gone")
    store.put_broker_overrides(None, {"log.retention.ms": "1"})
    store.put_broker_overrides(1, {"log.retention.ms": "2"})
    store.put_group_configs("g", {"consumer.session.timeout.ms": "45000"})
    store.put_group_configs("h", {"consumer.session.timeout.ms": "45000"})
    store.put_group_configs("h", {})
    assert [store.reserve_producer_ids(1_000) for _ in range(2)] == [0, 1_000]
    again = MetadataStore.open(tmp_path)
    assert again.cluster_id == store.cluster_id
    assert again.topics == store.topics
    assert again.topics["b"].id == TOPIC_ID
    assert again.broker_overrides(None) == {"log.retention.ms": "1"}
    assert again.broker_overrides(1) == {"log.retention.ms": "2"}
    assert again.broker_overrides(2) == {}
    assert again.groups_with_configs() == ["g"]
    assert again.group_configs("g") == {"consumer.session.timeout.ms": "45000"}
    assert again.reserve_producer_ids(1) == 2_000


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 1}', '{"version": 99}'])
def test_damaged_metadata_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "rota-metadata.json").write_text(content)
    with pytest.raises(RotaError, match=r"rota-metadata\.json"):
        MetadataStore.open(tmp_path)


def open_files(where: Path) -> int:
    found = 0
    for link in list(Path("/proc/self/fd").iterdir()):
        with contextlib.suppress(FileNotFoundError):  # other threads of the test run close theirs meanwhile
            target = link.readlink()
            found += str(where) in str(target) and target.suffix == ".log"
    return found


def test_open_files_of_all_logs_are_bounded(tmp_path: Path) -> None:
    directory = LogDirectory.open(tmp_path)
    directory.open_files.limit = 8
    logs = [
        directory.open_log(TopicPartition("many", number), TOPIC_ID, SMALL, now_ms=1_000)
        for number in range(40)
    ]
    regions: list[tuple[FileRegion | memoryview, int]] = []
    for turn in range(12):
        for number, log in enumerate(logs):
            log.append(batch(b"%d of %d" % (turn, number)), 1_000)
            assert open_files(tmp_path) <= 8 + len(regions)
        if not turn:
            regions = [(log.read(0, 1_000).chunks[0], log.size) for log in logs[:3]]
    for number, log in enumerate(logs):
        assert values(log) == [b"%d of %d" % (turn, number) for turn in range(12)]
    assert len(directory.open_files) <= 8
    # What was handed out for sending is there, though its store has let go of the file long ago.
    for number, (region, size) in enumerate(regions):
        assert len(bytes(region)) == size
        assert b"0 of %d" % number in bytes(region)
    regions.clear()
    del region
    directory.delete(TopicPartition("many", 0))
    assert open_files(tmp_path) <= 8
    directory.close()
    assert (open_files(tmp_path), len(directory.open_files)) == (0, 0)


def test_file_in_use_stays_open(tmp_path: Path) -> None:
    directory = LogDirectory.open(tmp_path)
    directory.open_files.limit = 4
    busy, *others = (
        directory.open_log(TopicPartition("t", number), TOPIC_ID, LogConfig(), now_ms=1_000)
        for number in range(20)
    )
    busy.append(batch(b"x"), 1_000)
    region = busy.read(0, 1_000).chunks[0]
    assert isinstance(region, FileRegion)
    for other in others:
        busy.append(batch(b"x"), 1_000)
        other.append(batch(b"x"), 1_000)
    again = busy.read(0, 1_000).chunks[0]
    assert isinstance(again, FileRegion)
    assert again.file is region.file
    directory.close()


_MANY = """
import resource, socket, sys
from rota.model import TopicPartition
from rota.storage import FileRegion, LogConfig, LogDirectory
from rota.wire.records import build_batch

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
directory = LogDirectory.open(sys.argv[1])
logs = [
    directory.open_log(TopicPartition("many", number), bytes(16), LogConfig(), now_ms=1000)
    for number in range(100)
]
for turn in range(2):
    for log in logs:
        log.append(build_batch([(None, b"x", 1000, ())]), 1000)
sockets = [socket.socket() for _ in range(20)]
# And when the connections have all the rest, a log takes the place of another.
try:
    while True:
        sockets.append(socket.socket())
except OSError:
    pass
for log in logs:
    log.append(build_batch([(None, b"x", 1000, ())]), 1000)
assert all(log.log_end_offset == 3 for log in logs)
print(len(sockets))
"""


def test_more_partitions_than_files_may_be_open(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _MANY, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 20
