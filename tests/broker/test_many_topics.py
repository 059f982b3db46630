"""A request that makes many topics waits for the disk once, and makes all that it says or nothing."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from tests.broker.raw import RawClient

from rota.model import ErrorCode
from rota.storage import metadata
from rota.storage.files import replace_file
from rota.testing import Broker
from rota.wire.messages.create_topics import CreatableTopic, CreateTopicsRequest, CreateTopicsResponse
from rota.wire.messages.metadata import MetadataRequest, MetadataResponse

_NAMES = [f"many-{number}" for number in range(40)]


def _create(client: RawClient, names: list[str]) -> set[int]:
    wanted = [CreatableTopic(name=name, num_partitions=2, replication_factor=1) for name in names]
    made = client.call(CreateTopicsRequest(topics=wanted, timeout_ms=60_000), 7, CreateTopicsResponse)
    assert [topic.name for topic in made.topics] == names
    return {topic.error_code for topic in made.topics}


def _topics(client: RawClient) -> dict[str | None, int]:
    listed = client.call(MetadataRequest(topics=None), 9, MetadataResponse).topics
    return {each.name: len(each.partitions) for each in listed}


def test_many_topics_are_written_down_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []

    def count(path: Path, content: bytes) -> None:
        written.append(path)
        replace_file(path, content)

    with Broker(data_dir=tmp_path) as broker, RawClient(broker.bootstrap_servers) as client:
        monkeypatch.setattr(metadata, "replace_file", count)
        assert _create(client, _NAMES) == {ErrorCode.NONE}
        assert len(written) == 1
    monkeypatch.undo()
    with Broker(data_dir=tmp_path) as broker, RawClient(broker.bootstrap_servers) as client:
        assert _topics(client) == dict.fromkeys(_NAMES, 2)


def test_many_topics_that_cannot_be_written_down_are_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with Broker(data_dir=tmp_path) as broker, RawClient(broker.bootstrap_servers) as client:
        assert _create(client, ["before"]) == {ErrorCode.NONE}
        monkeypatch.setattr(metadata, "replace_file", refuse)
        assert _create(client, _NAMES) == {ErrorCode.KAFKA_STORAGE_ERROR}
        assert _topics(client) == {"before": 2}
        assert not list(tmp_path.glob("many-*"))
        monkeypatch.undo()
        assert _create(client, _NAMES) == {ErrorCode.NONE}
        assert _topics(client) == dict.fromkeys(["before", *_NAMES], 2)
