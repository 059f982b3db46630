"""The broker is killed under load, again and again: what it acknowledged is there, and its groups go on."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.broker.load import Committer, Member, Sender, Stored, read_all, read_latest, running
from tests.broker.raw import RawClient
from tests.kafka.ports import PATIENCE_S

from rota.testing import Broker
from rota.wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from rota.wire.messages.describe_groups import DescribedGroup, DescribeGroupsRequest, DescribeGroupsResponse
from rota.wire.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from rota.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from rota.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestTopic,
    OffsetFetchResponse,
)

KILLS = 12
PARTITIONS = 4
TOPIC = "orders"
READY = re.compile(rb"rota broker ready on 127\.0\.0\.1:(\d+)\n")


def _wait_until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def _create_topic(address: str, topic: str = TOPIC, **configs: str) -> None:
    given = {"internal.segment.bytes": "50000", **configs}  # many segments
    wanted = CreatableTopic(
        name=topic,
        num_partitions=PARTITIONS,
        replication_factor=1,
        configs=[CreatableTopicConfig(name=name, value=value) for name, value in given.items()],
    )
    with RawClient(address) as client:
        answer = client.call(CreateTopicsRequest(topics=[wanted]), 5, CreateTopicsResponse)
    assert answer.topics[0].error_code == 0


def _ends(address: str) -> dict[int, int]:
    partitions = [ListOffsetsPartition(partition_index=each, timestamp=-1) for each in range(PARTITIONS)]
    request = ListOffsetsRequest(topics=[ListOffsetsTopic(name=TOPIC, partitions=partitions)])
    with RawClient(address) as client:
        answer = client.call(request, 7, ListOffsetsResponse).topics[0].partitions
    return {each.partition_index: each.offset for each in answer}


def _committed(address: str, group: str) -> dict[int, int]:
    wanted = OffsetFetchRequestTopic(name=TOPIC, partition_indexes=list(range(PARTITIONS)))
    with RawClient(address) as client:
        answer = client.call(OffsetFetchRequest(group_id=group, topics=[wanted]), 7, OffsetFetchResponse)
    assert answer.error_code == 0
    return {each.partition_index: each.committed_offset for each in answer.topics[0].partitions}


def _group(address: str, group: str) -> DescribedGroup:
    with RawClient(address) as client:
        return client.call(DescribeGroupsRequest(groups=[group]), 5, DescribeGroupsResponse).groups[0]


def _member_ids(described: DescribedGroup) -> set[str]:
    return {member.member_id for member in described.members}


def _generation(address: str, group: str, member: str) -> int:
    """The generation in which a heartbeat of the member is taken for good."""
    with RawClient(address) as client:
        for generation in range(1, 50):
            request = HeartbeatRequest(group_id=group, generation_id=generation, member_id=member)
            if client.call(request, 4, HeartbeatResponse).error_code == 0:
                return generation
    raise AssertionError("no generation below 50")


def _is_stable(address: str, members: list[Member]) -> bool:
    described = _group(address, "live")
    everyone = len(described.members) == len(members)
    return described.group_state == "Stable" and everyone and all(each.happened for each in members)


def test_nothing_acknowledged_is_lost_and_the_group_goes_on(
    tmp_path: Path, kills: Callable[[int], int]
) -> None:
    """Killed at any moment, also of a compaction: records, offsets and the group's generation outlive it."""
    chance = random.Random(20_260_417)
    configs = {
        "log.flush.offset.checkpoint.interval.ms": "300",
        "log.cleaner.backoff.ms": "50",
        "log.cleaner.min.cleanable.ratio": "0.01",
        "offsets.topic.segment.bytes": "20000",
    }
    with Broker(configs, mode="process", data_dir=tmp_path / "data") as broker:
        address = broker.bootstrap_servers
        _create_topic(address)
        _create_topic(address, "latest", **{"internal.segment.bytes": "5000", "cleanup.policy": "compact"})
        latest = Sender(address, "latest", PARTITIONS, "latest", idempotent=True, keys=24 * PARTITIONS)
        exactly = Sender(address, TOPIC, PARTITIONS, "exactly", idempotent=True)
        plain = Sender(address, TOPIC, PARTITIONS, "plain", idempotent=False)
        committer = Committer(address, "ledger", TOPIC)
        members = [Member(address, "live", TOPIC) for _ in range(2)]
        with running(*members, exactly, plain, latest, committer):
            _wait_until(lambda: _is_stable(address, members), "the group did not become stable")
            ids = _member_ids(_group(address, "live"))
            generation = _generation(address, "live", min(ids))
            happened = [list(each.happened) for each in members]
            for _ in range(kills(KILLS)):
                _kill_once(broker, chance, [exactly, plain], committer)
                described = _group(address, "live")
                assert described.group_state == "Stable"
                assert _member_ids(described) == ids
            read_before = [each.read for each in members]
            _wait_until(
                lambda: all(each.read > before for each, before in zip(members, read_before, strict=True)),
                "the members do not go on reading",
            )
            assert [each.happened for each in members] == happened
            assert _generation(address, "live", min(ids)) == generation
        stored = read_all(address, TOPIC, PARTITIONS, _ends(address))
        assert read_latest(address, "latest", PARTITIONS) == latest.acked_keys
        compacted = (tmp_path / "data" / "cleaner-offset-checkpoint").read_text()
        assert "latest" in compacted
        assert "__consumer_offsets" in compacted
    _check_stored(stored, exactly, plain)


def _kill_once(broker: Broker, chance: random.Random, senders: list[Sender], committer: Committer) -> None:
    """Wait for acknowledgements, then kill at some moment; nothing may have gone back after the restart."""
    address = broker.bootstrap_servers
    counts = [len(each.acked) for each in senders]
    commits = committer.acked
    _wait_until(
        lambda: (
            all(len(each.acked) > count for each, count in zip(senders, counts, strict=True))
            and committer.acked > commits
        ),
        "the clients do not go on after a restart",
    )
    time.sleep(chance.uniform(0.0, 0.4))
    live = _committed(address, "live")
    broker.kill()
    acked = dict.fromkeys(range(PARTITIONS), -1)
    for partition, offset in [each for sender in senders for each in list(sender.acked)]:
        acked[partition] = max(acked[partition], offset)
    committed = committer.acked
    broker.start()
    ends = _ends(address)
    assert all(ends[partition] > acked[partition] for partition in acked), (ends, acked)
    assert _committed(address, "ledger")[0] >= committed
    now = _committed(address, "live")
    assert all(now[partition] >= live[partition] for partition in live), (now, live)


def _check_stored(stored: Stored, exactly: Sender, plain: Sender) -> None:
    for sender in (exactly, plain):
        assert len(sender.acked) == sender.sent or sender is plain  # a repeated record has two offsets
        lost = {key: value for key, value in sender.acked.items() if stored.get(key) != value}
        assert not lost, f"{len(lost)} acknowledged records are not where they were said to be: {lost}"
    mine = [value for value in stored.values() if value.startswith(b"exactly-")]
    repeated = [value for value, count in Counter(mine).items() if count > 1]
    assert not repeated, f"stored more than once: {repeated[:5]}"
    assert len(mine) == exactly.sent
    for partition in range(PARTITIONS):
        numbers = [
            int(stored[key].removeprefix(b"exactly-"))
            for key in sorted(stored)
            if key[0] == partition and stored[key].startswith(b"exactly-")
        ]
        assert numbers == sorted(numbers), "the order of an idempotent producer is not kept"
    kept = {value for value in stored.values() if value.startswith(b"plain-")}
    assert len(kept) == plain.sent


# --- one directory, one broker --------------------------------------------------------------------------------


def _spawn(data: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "rota", "broker", "--port", "0", "--data", str(data)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _wait_ready(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    match = READY.fullmatch(process.stdout.readline())
    assert match is not None
    return f"127.0.0.1:{int(match[1])}"


def test_a_second_broker_on_the_same_directory_is_turned_away(tmp_path: Path) -> None:
    """In one line that names the directory; the first broker is not disturbed."""
    with Broker(mode="process", data_dir=tmp_path / "data") as broker:
        second = _spawn(tmp_path / "data")
        said, complaint = second.communicate(timeout=PATIENCE_S)
        assert second.returncode == 1
        assert said == b""
        assert len(complaint.splitlines()) == 1, complaint
        assert str(tmp_path / "data") in complaint.decode()
        assert b"Traceback" not in complaint
        _create_topic(broker.bootstrap_servers)


def test_sigterm_ends_the_broker_cleanly(tmp_path: Path) -> None:
    """Exit code 0, the mark of a clean shutdown, and a start that takes the mark and finds everything."""
    data = tmp_path / "data"
    mark = data / ".kafka_cleanshutdown"
    process = _spawn(data)
    try:
        address = _wait_ready(process)
        _create_topic(address)
        sender = Sender(address, TOPIC, PARTITIONS, "quiet", idempotent=True)
        with running(sender):
            _wait_until(lambda: len(sender.acked) >= 20 * PARTITIONS, "nothing is acknowledged")
        ends = _ends(address)
        assert not mark.exists()
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, said
        assert b"Traceback" not in said
        assert mark.exists()
        process = _spawn(data)
        address = _wait_ready(process)
        assert not mark.exists()
        assert _ends(address) == ends
    finally:
        process.kill()
        process.communicate()
