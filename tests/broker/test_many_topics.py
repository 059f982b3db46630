"""A request that makes or deletes many topics, or changes much else, waits for the disk once."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.broker.raw import RawClient

from rota.broker.config_answers import ConfigEntry, broker_entries
from rota.broker.handlers import describe_configs
from rota.model import ErrorCode
from rota.storage import metadata
from rota.storage.files import replace_file
from rota.testing import Broker
from rota.wire.messages.alter_client_quotas import (
    AlterClientQuotasRequest,
    AlterClientQuotasResponse,
    EntityData,
    EntryData,
    OpData,
)
from rota.wire.messages.alter_user_scram_credentials import (
    AlterUserScramCredentialsRequest,
    AlterUserScramCredentialsResponse,
    ScramCredentialUpsertion,
)
from rota.wire.messages.create_topics import CreatableTopic, CreateTopicsRequest, CreateTopicsResponse
from rota.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse, DeleteTopicState
from rota.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResponse,
)
from rota.wire.messages.describe_user_scram_credentials import (
    DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
)
from rota.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from rota.wire.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse

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


def _delete(client: RawClient, names: list[str]) -> set[int]:
    request = DeleteTopicsRequest(topic_names=names, timeout_ms=60_000)
    gone = client.call(request, 5, DeleteTopicsResponse).responses
    assert [each.name for each in gone] == names
    return {each.error_code for each in gone}


def test_that_many_topics_are_deleted_is_written_down_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []

    def count(path: Path, content: bytes) -> None:
        written.append(path)
        replace_file(path, content)

    with Broker(data_dir=tmp_path) as broker, RawClient(broker.bootstrap_servers) as client:
        assert _create(client, ["stays", *_NAMES]) == {ErrorCode.NONE}
        monkeypatch.setattr(metadata, "replace_file", count)
        assert _delete(client, _NAMES) == {ErrorCode.NONE}
        assert len(written) == 1
        assert _topics(client) == {"stays": 2}
        assert not list(tmp_path.glob("many-*"))
        assert _delete(client, _NAMES) == {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
        assert len(written) == 1
    monkeypatch.undo()
    with Broker(data_dir=tmp_path) as broker, RawClient(broker.bootstrap_servers) as client:
        assert _topics(client) == {"stays": 2}


def test_many_topics_are_deleted_though_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with Broker(data_dir=tmp_path) as broker, RawClient(broker.bootstrap_servers) as client:
        assert _create(client, ["stays", *_NAMES]) == {ErrorCode.NONE}
        monkeypatch.setattr(metadata, "replace_file", refuse)
        assert _delete(client, _NAMES) == {ErrorCode.NONE}
        monkeypatch.undo()
    with Broker(data_dir=tmp_path) as broker, RawClient(broker.bootstrap_servers) as client:
        assert _topics(client) == {"stays": 2}


def test_a_topic_that_is_to_be_deleted_by_name_and_by_id_is_deleted_once(tmp_path: Path) -> None:
    with Broker(data_dir=tmp_path) as broker, RawClient(broker.bootstrap_servers) as client:
        assert _create(client, ["twice", "stays"]) == {ErrorCode.NONE}
        topics = client.call(MetadataRequest(topics=None), 12, MetadataResponse).topics
        (topic_id,) = [each.topic_id for each in topics if each.name == "twice"]
        wanted = [DeleteTopicState(name="twice"), DeleteTopicState(name=None, topic_id=topic_id)]
        gone = client.call(DeleteTopicsRequest(topics=wanted), 6, DeleteTopicsResponse).responses
        assert [each.error_code for each in gone] == [ErrorCode.NONE, ErrorCode.INVALID_REQUEST]
        assert _topics(client) == {"stays": 2}


def _quotas(number: int) -> AlterClientQuotasRequest:
    users = [f"user-{each}" for each in range(number)]
    return AlterClientQuotasRequest(
        entries=[
            EntryData(
                entity=[EntityData(entity_type="user", entity_name=user)],
                ops=[OpData(key="producer_byte_rate", value=1000.0)],
            )
            for user in users
        ]
    )


def _credentials(number: int) -> AlterUserScramCredentialsRequest:
    return AlterUserScramCredentialsRequest(
        upsertions=[
            ScramCredentialUpsertion(name=f"user-{each}", mechanism=1, iterations=4096)
            for each in range(number)
        ]
    )


def _topic_configs(names: list[str]) -> IncrementalAlterConfigsRequest:
    config = AlterableConfig(name="retention.ms", config_operation=0, value="777000")
    return IncrementalAlterConfigsRequest(
        resources=[
            AlterConfigsResource(resource_type=2, resource_name=name, configs=[config]) for name in names
        ]
    )


def _change_everything(client: RawClient) -> set[int]:
    """Quotas, credentials and configs, each by one request; the codes of all answers."""
    quotas = client.call(_quotas(40), 1, AlterClientQuotasResponse).entries
    credentials = client.call(_credentials(40), 0, AlterUserScramCredentialsResponse).results
    configs = client.call(_topic_configs(_NAMES), 1, IncrementalAlterConfigsResponse).responses
    assert [len(each) for each in (quotas, credentials, configs)] == [40, 40, 40]
    return {each.error_code for answers in (quotas, credentials, configs) for each in answers}


def _retention(client: RawClient) -> set[str | None]:
    asked = [
        DescribeConfigsResource(resource_type=2, resource_name=name, configuration_keys=["retention.ms"])
        for name in _NAMES
    ]
    answer = client.call(DescribeConfigsRequest(resources=asked), 4, DescribeConfigsResponse)
    return {each.configs[0].value for each in answer.results}


def test_many_changes_are_written_down_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []

    def count(path: Path, content: bytes) -> None:
        written.append(path)
        replace_file(path, content)

    with Broker(data_dir=tmp_path) as broker, RawClient(broker.bootstrap_servers) as client:
        assert _create(client, _NAMES) == {ErrorCode.NONE}
        monkeypatch.setattr(metadata, "replace_file", count)
        assert _change_everything(client) == {ErrorCode.NONE}
        assert len(written) == 3
        checked = _quotas(40)
        checked.validate_only = True
        client.call(checked, 1, AlterClientQuotasResponse)
        assert len(written) == 3
    monkeypatch.undo()
    with Broker(data_dir=tmp_path) as broker, RawClient(broker.bootstrap_servers) as client:
        assert _retention(client) == {"777000"}
        users = client.call(
            DescribeUserScramCredentialsRequest(users=None), 0, DescribeUserScramCredentialsResponse
        )
        assert len(users.results) == 40


def test_many_changes_that_cannot_be_written_down_are_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with Broker(data_dir=tmp_path) as broker, RawClient(broker.bootstrap_servers) as client:
        assert _create(client, _NAMES) == {ErrorCode.NONE}
        before = _retention(client)
        monkeypatch.setattr(metadata, "replace_file", refuse)
        assert _change_everything(client) == {ErrorCode.KAFKA_STORAGE_ERROR}
        assert _retention(client) == before
        monkeypatch.undo()
        assert _change_everything(client) == {ErrorCode.NONE}
        assert _retention(client) == {"777000"}


def test_what_is_named_often_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it is answered, so that the room for answers is no limit."""
    looked: list[object] = []

    def count(broker: Any) -> Iterator[ConfigEntry]:
        looked.append(broker)
        return broker_entries(broker)

    with Broker() as broker, RawClient(broker.bootstrap_servers) as client:
        node = str(client.call(MetadataRequest(topics=[]), 9, MetadataResponse).brokers[0].node_id)
        monkeypatch.setattr(describe_configs, "broker_entries", count)
        resource = DescribeConfigsResource(resource_type=4, resource_name=node, configuration_keys=["none"])
        request = DescribeConfigsRequest(resources=[resource] * 300)
        results = client.call(request, 4, DescribeConfigsResponse).results
        assert [(each.error_code, each.configs) for each in results] == [(ErrorCode.NONE, [])] * 300
        assert len(looked) == 1


def _ask_for(client: RawClient, names: list[str]) -> set[int]:
    wanted = [MetadataRequestTopic(name=name) for name in names]
    asked = MetadataRequest(topics=wanted, allow_auto_topic_creation=True)
    return {each.error_code for each in client.call(asked, 9, MetadataResponse).topics}


def test_many_topics_that_a_client_only_asks_for_are_written_down_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []

    def count(path: Path, content: bytes) -> None:
        written.append(path)
        replace_file(path, content)

    def refuse(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with Broker(data_dir=tmp_path) as broker, RawClient(broker.bootstrap_servers) as client:
        monkeypatch.setattr(metadata, "replace_file", refuse)
        assert _ask_for(client, _NAMES) == {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
        assert _topics(client) == {}
        monkeypatch.setattr(metadata, "replace_file", count)
        assert _ask_for(client, _NAMES) == {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
        assert len(written) == 1
        assert _ask_for(client, _NAMES) == {ErrorCode.NONE}
        assert len(written) == 1


def test_more_topics_than_one_request_may_make_are_not_made_for_the_asking() -> None:
    with Broker() as broker, RawClient(broker.bootstrap_servers) as client:
        names = [f"asked-{number}" for number in range(10_001)]
        assert _ask_for(client, names) == {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
        assert _topics(client) == {}
