"""The broker under attack: started, watched, restarted; and what it must be after each of that."""

from __future__ import annotations

import os
import re
import shutil
import signal
from pathlib import Path
from typing import NamedTuple

from tests.broker.raw import RawClient
from tests.fuzz.messages import GROUPS, TOPICS
from tests.rota_process import RotaBroker

from rota.wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from rota.wire.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from rota.wire.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from rota.wire.messages.offset_fetch import OffsetFetchRequest, OffsetFetchResponse

__all__ = ["GOOD_TOPIC", "Complaint", "State", "Target"]

GOOD_TOPIC = "well-behaved"
_CONFIG = {
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "100",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "log.cleaner.backoff.ms": "200",
    "log.segment.bytes": "1048576",
    "max.connection.creation.rate": "100000",  # or the attack would soon be held up
}
_TOPIC_CONFIGS = {
    "fuzz-compact": {"cleanup.policy": "compact", "segment.bytes": "65536", "min.cleanable.dirty.ratio": "0"},
    "fuzz-append-time": {"message.timestamp.type": "LogAppendTime", "compression.type": "producer"},
}
# Who calls itself an admin client may write anything into the broker's own topics; a replay steps over it, and says so.
_EXPECTED = ("cannot append to", "skipped what cannot be read")
_LINE = re.compile(r"^\S+ \S* ?(ERROR|CRITICAL|WARNING|INFO|DEBUG)\b")
_PEER = re.compile(r"from (\S+:\d+) failed")


class Complaint(NamedTuple):
    """Something in the log that must not be there. ``peer`` is the connection it speaks of, if it does."""

    text: str
    signature: str
    peer: str


class State(NamedTuple):
    """What a restart must not change."""

    topics: dict[str, int]
    ends: dict[str, list[int]]
    committed: dict[str, str]


class Target:
    """A broker in a process of its own, on a directory that can be thrown away."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.broker = RotaBroker(_CONFIG, directory)
        self.broker.program = "tests.fuzz.watched_broker"
        self._read_to = 0

    def start_anew(self) -> bytes:
        """On an empty directory, with the topics that inputs name; the id of the good client's."""
        self.broker.stop()
        shutil.rmtree(self.broker.data_dir, ignore_errors=True)
        self.broker.start()
        return self.make_topics()

    def make_topics(self) -> bytes:
        """Make those that are not there (any more); the id of the good client's."""
        wanted = [
            CreatableTopic(
                name=name,
                num_partitions=3 if name == "fuzz-many" else 1,
                replication_factor=1,
                configs=[
                    CreatableTopicConfig(name=key, value=value)
                    for key, value in _TOPIC_CONFIGS.get(name, {}).items()
                ],
            )
            for name in (GOOD_TOPIC, *TOPICS)
        ]
        with RawClient(self.broker.bootstrap_servers) as client:
            client.call(CreateTopicsRequest(topics=wanted, timeout_ms=60_000), 5, CreateTopicsResponse)
            asked = MetadataRequest(topics=[MetadataRequestTopic(name=GOOD_TOPIC)])
            return client.call(asked, 12, MetadataResponse).topics[0].topic_id

    # --- watching -------------------------------------------------------------------------------------------

    @property
    def is_alive(self) -> bool:
        return self.broker.process is not None and self.broker.process.poll() is None

    def resident_mb(self) -> tuple[float, float]:
        """Resident memory now, and at its highest since the process started."""
        found = {}
        for line in Path(f"/proc/{self.broker.pid}/status").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name in {"VmRSS", "VmHWM"}:
                found[name] = int(rest.split()[0]) / 1024
        return found["VmRSS"], found["VmHWM"]

    def where_is_it(self) -> None:
        """Have it write its stack into its log."""
        os.kill(self.broker.pid, signal.SIGUSR1)

    def complaints(self, *, any_error: bool = False) -> list[Complaint]:
        """What the log has said since the last look that is our fault; with ``any_error`` every error."""
        with self.broker.log_file.open("rb") as file:
            file.seek(self._read_to)
            new = file.read()
            end = new.rfind(b"\n") + 1
            self._read_to += end
        found: list[Complaint] = []
        entry: list[str] = []
        for line in [*new[:end].decode(errors="replace").splitlines(), "0 ERROR end"]:
            if _LINE.match(line) or line.startswith("rota"):
                if entry and _is_bad(entry, any_error=any_error):
                    found.append(_complaint(entry))
                entry = []
            entry.append(line)
        return found

    # --- restarting -----------------------------------------------------------------------------------------

    def state(self) -> State:
        """What is known of topics and groups."""
        with RawClient(self.broker.bootstrap_servers) as client:
            listed = client.call(MetadataRequest(topics=None), 12, MetadataResponse).topics
            topics = {each.name or "": len(each.partitions) for each in listed}
            ends = {name: _ends(client, name, min(count, 50)) for name, count in topics.items()}
            committed = {}
            for group in GROUPS:
                request = OffsetFetchRequest(group_id=group, topics=None, require_stable=False)
                answer = client.call(request, 7, OffsetFetchResponse)
                committed[group] = repr(
                    sorted(
                        (topic.name, each.partition_index, each.committed_offset, each.metadata)
                        for topic in answer.topics
                        for each in topic.partitions
                    )
                )
        return State(topics, ends, committed)

    def restart(self, *, kill: bool) -> list[str]:
        """Restart on the same directory; what is not as it was before."""
        before = self.state()
        if kill:
            self.broker.kill()
        else:
            self.broker.stop()
        self.broker.start()
        after = self.state()
        different = [
            f"{name} had {count} partitions, has {after.topics.get(name)}"
            for name, count in before.topics.items()
            if after.topics.get(name) != count
        ]
        different += [
            f"{name} ended at {ends}, ends at {after.ends.get(name)}"
            for name, ends in before.ends.items()
            if any(new < old for old, new in zip(ends, after.ends.get(name, []), strict=False))
        ]
        different += [
            f"{group} had committed {what}, has {after.committed[group]}"
            for group, what in before.committed.items()
            if after.committed[group] != what
        ]
        return different


def _ends(client: RawClient, topic: str, partitions: int) -> list[int]:
    wanted = [ListOffsetsPartition(partition_index=index, timestamp=-1) for index in range(partitions)]
    request = ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsTopic(name=topic, partitions=wanted)])
    answer = client.call(request, 5, ListOffsetsResponse)
    return [each.offset for each in answer.topics[0].partitions]


def _is_bad(entry: list[str], *, any_error: bool) -> bool:
    first = entry[0]
    if any_error and " ERROR " in first and not any(each in first for each in _EXPECTED):
        return True
    return "bug" in first or any(line.startswith("Traceback") for line in entry)


def _complaint(entry: list[str]) -> Complaint:
    files = [line.strip() for line in entry if line.lstrip().startswith('File "')]
    where = re.sub(r'File ".*/', "", files[-1]) if files else re.sub("[0-9]+", "9", entry[0])
    last = entry[-1] if len(entry) > 1 else ""
    peer = _PEER.search(entry[0])
    return Complaint("\n".join(entry), f"{where} {last[:60]}", peer[1] if peer else "")
