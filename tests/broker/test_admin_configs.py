"""Configs of topics, the broker, the cluster and groups: described, changed, and refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.broker.raw import RawClient

from rota.model import ErrorCode
from rota.testing import Broker
from rota.wire.messages.alter_configs import (
    AlterableConfig as WholeConfig,
)
from rota.wire.messages.alter_configs import (
    AlterConfigsRequest,
    AlterConfigsResponse,
)
from rota.wire.messages.alter_configs import (
    AlterConfigsResource as WholeResource,
)
from rota.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResponse,
    DescribeConfigsResult,
)
from rota.wire.messages.describe_log_dirs import DescribeLogDirsRequest, DescribeLogDirsResponse
from rota.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from rota.wire.messages.list_config_resources import ListConfigResourcesRequest, ListConfigResourcesResponse

TOPIC, BROKER, GROUP, CLIENT_METRICS = 2, 4, 32, 16
SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3
NewTopic = Callable[..., str]
E = ErrorCode


def describe(client: RawClient, kind: int, name: str, *keys: str, **options: Any) -> DescribeConfigsResult:
    resource = DescribeConfigsResource(
        resource_type=kind, resource_name=name, configuration_keys=list(keys) or None
    )
    request = DescribeConfigsRequest(resources=[resource], **options)
    return client.call(request, 4, DescribeConfigsResponse).results[0]


def value(client: RawClient, kind: int, name: str, key: str) -> tuple[str | None, int]:
    (found,) = describe(client, kind, name, key).configs
    return found.value, found.config_source


def change(
    client: RawClient, kind: int, name: str, *steps: tuple[str, int, str | None], **options: Any
) -> AlterConfigsResourceResponse:
    configs = [AlterableConfig(name=key, config_operation=step, value=text) for key, step, text in steps]
    resource = AlterConfigsResource(resource_type=kind, resource_name=name, configs=configs)
    request = IncrementalAlterConfigsRequest(resources=[resource], **options)
    return client.call(request, 1, IncrementalAlterConfigsResponse).responses[0]


@pytest.mark.parametrize(
    ("kind", "name", "code"),
    [
        (TOPIC, "nosuch", E.UNKNOWN_TOPIC_OR_PARTITION),
        (TOPIC, "a b", E.INVALID_TOPIC_EXCEPTION),
        (BROKER, "7", E.INVALID_REQUEST),
        (GROUP, "", E.INVALID_REQUEST),
        (CLIENT_METRICS, "", E.INVALID_REQUEST),
        (99, "x", E.INVALID_REQUEST),
    ],
)
def test_configs_of_what_is_not_there(client: RawClient, kind: int, name: str, code: ErrorCode) -> None:
    """Neither described nor changed."""
    assert describe(client, kind, name).error_code == code
    if name != "a b":  # a name that cannot be is a topic that is not there
        assert change(client, kind, name, ("retention.ms", SET, "1")).error_code == code


def test_one_answer_has_room_for_so_many_configs(client: RawClient) -> None:
    """A small request would otherwise ask for gigabytes."""
    named = DescribeConfigsResource(resource_type=BROKER, resource_name="1", configuration_keys=None)
    answer = client.call(DescribeConfigsRequest(resources=[named] * 1_000), 4, DescribeConfigsResponse)
    codes = [result.error_code for result in answer.results]
    assert len(codes) == 1_000
    assert (codes[0], codes[-1]) == (E.NONE, E.INVALID_REQUEST)
    assert sum(len(result.configs) for result in answer.results) < 201_000


def test_configs_are_described_with_synonyms(client: RawClient, new_topic: NewTopic) -> None:
    """All, those asked for, and where each value comes from."""
    topic = new_topic()
    assert len(describe(client, TOPIC, topic).configs) > 25
    empty = DescribeConfigsResource(resource_type=TOPIC, resource_name=topic, configuration_keys=[])
    answer = client.call(DescribeConfigsRequest(resources=[empty]), 4, DescribeConfigsResponse)
    assert len(answer.results[0].configs) > 25
    assert change(client, TOPIC, topic, ("retention.bytes", SET, "5")).error_code == 0
    (found,) = describe(client, TOPIC, topic, "retention.bytes", include_synonyms=True).configs
    assert [(each.name, each.value, each.source) for each in found.synonyms] == [
        ("retention.bytes", "5", 1),
        ("log.retention.bytes", "-1", 5),
    ]
    (found,) = describe(client, TOPIC, topic, "retention.ms", include_synonyms=True).configs
    assert (found.value, found.synonyms) == ("604800000", []), "what log.retention.hours decides has none"
    configs = {each.name: each for each in describe(client, BROKER, "1").configs}
    assert configs["node.id"].read_only
    assert not configs["log.retention.ms"].read_only
    assert configs["ssl.keystore.password"].is_sensitive
    assert configs["ssl.keystore.password"].value is None


def test_a_topics_configs_step_by_step(client: RawClient, new_topic: NewTopic) -> None:
    """Set, delete, append, subtract; all steps of a request or none."""
    topic = new_topic()
    assert change(client, TOPIC, topic, ("cleanup.policy", APPEND, "compact")).error_code == 0
    assert value(client, TOPIC, topic, "cleanup.policy") == ("delete,compact", 1)
    assert change(client, TOPIC, topic, ("cleanup.policy", SUBTRACT, "delete")).error_code == 0
    assert value(client, TOPIC, topic, "cleanup.policy") == ("compact", 1)
    assert change(client, TOPIC, topic, ("cleanup.policy", DELETE, None)).error_code == 0
    assert value(client, TOPIC, topic, "cleanup.policy") == ("delete", 5)
    assert change(client, TOPIC, topic, ("retention.ms", SET, "7"), validate_only=True).error_code == 0
    assert value(client, TOPIC, topic, "retention.ms")[1] == 5
    refused: list[tuple[list[tuple[str, int, str | None]], ErrorCode]] = [
        ([("retention.ms", SET, "7"), ("segment.ms", SET, "x")], E.INVALID_CONFIG),
        ([("retention.ms", SET, "7"), ("retention.ms", SET, "8")], E.INVALID_REQUEST),
        ([("retention.ms", SET, None)], E.INVALID_REQUEST),
        ([("retention.ms", APPEND, "7")], E.INVALID_CONFIG),
        ([("retention.ms", 9, "7")], E.UNKNOWN_SERVER_ERROR),
        ([("retention", SET, "7")], E.INVALID_CONFIG),
        ([("qqqqq", SET, "7")], E.INVALID_CONFIG),
    ]
    for steps, code in refused:
        answer = change(client, TOPIC, topic, *steps)
        assert (answer.error_code, bool(answer.error_message)) == (code, True), steps
    assert value(client, TOPIC, topic, "retention.ms")[1] == 5


def test_a_brokers_configs_and_the_clusters(client: RawClient) -> None:
    """A broker's own setting wins over the default of all; what only one broker can have is no default."""
    assert change(client, BROKER, "", ("log.retention.ms", SET, "1000")).error_code == 0
    assert value(client, BROKER, "1", "log.retention.ms") == ("1000", 3)
    names = {each.name for each in describe(client, BROKER, "").configs}
    assert names == {"log.retention.ms", "min.insync.replicas"}, (
        "the second, as in every cluster of Kafka 4.1"
    )
    assert change(client, BROKER, "1", ("log.retention.ms", SET, "2000")).error_code == 0
    assert value(client, BROKER, "1", "log.retention.ms") == ("2000", 2)
    assert change(client, BROKER, "1", ("log.retention.ms", DELETE, None)).error_code == 0
    assert change(client, BROKER, "", ("log.retention.ms", DELETE, None)).error_code == 0
    assert value(client, BROKER, "1", "log.retention.ms")[1] == 5
    assert change(client, BROKER, "1", ("num.partitions", SET, "3")).error_code == E.INVALID_REQUEST
    keystore = ("ssl.keystore.location", SET, "/nowhere")
    assert change(client, BROKER, "", keystore).error_code == E.INVALID_REQUEST
    assert change(client, BROKER, "1", keystore, validate_only=True).error_code == 0
    assert change(client, BROKER, "", ("node.id", SET, "2")).error_code == E.INVALID_REQUEST


def test_where_a_broker_listens_and_keeps_its_data_are_start_options(
    broker: Broker, client: RawClient
) -> None:
    """Also when they were not given as configs: tools look there for the address of a broker."""
    address = f"PLAINTEXT://{broker.bootstrap_servers}"
    assert value(client, BROKER, "1", "advertised.listeners") == (address, 4)
    assert value(client, BROKER, "1", "listeners") == (address, 4)
    (log_dir,) = client.call(DescribeLogDirsRequest(topics=[]), 4, DescribeLogDirsResponse).results
    assert value(client, BROKER, "1", "log.dirs") == (log_dir.log_dir, 4)


def test_configs_replaced_as_a_whole(client: RawClient, new_topic: NewTopic) -> None:
    """AlterConfigs: what is not named goes back to its default."""
    topic = new_topic()

    def replace(kind: int, name: str, *values: tuple[str, str | None], validate_only: bool = False) -> int:
        configs = [WholeConfig(name=key, value=text) for key, text in values]
        resource = WholeResource(resource_type=kind, resource_name=name, configs=configs)
        request = AlterConfigsRequest(resources=[resource], validate_only=validate_only)
        return client.call(request, 2, AlterConfigsResponse).responses[0].error_code

    assert replace(TOPIC, topic, ("retention.ms", "7"), ("segment.ms", "8")) == 0
    assert replace(TOPIC, topic, ("segment.ms", "9")) == 0
    assert value(client, TOPIC, topic, "retention.ms")[1] == 5
    assert value(client, TOPIC, topic, "segment.ms") == ("9", 1)
    assert replace(TOPIC, topic, validate_only=True) == 0
    assert value(client, TOPIC, topic, "segment.ms") == ("9", 1)
    assert replace(TOPIC, topic, ("segment.ms", None)) == E.INVALID_REQUEST
    assert replace(TOPIC, topic, ("segment.ms", "x")) == E.INVALID_CONFIG
    assert replace(TOPIC, "nosuch") == E.UNKNOWN_TOPIC_OR_PARTITION


def test_a_groups_configs_are_the_brokers_unless_they_are_set() -> None:
    with (
        Broker(configs={"group.consumer.session.timeout.ms": "50000"}) as broker,
        RawClient(broker.bootstrap_servers) as client,
    ):
        assert value(client, GROUP, "any", "consumer.session.timeout.ms") == ("50000", 5)


def test_a_groups_configs(client: RawClient) -> None:
    """They can be set before there is such a group, and are listed."""
    assert change(client, GROUP, "wanted", ("consumer.session.timeout.ms", SET, "50000")).error_code == 0
    assert value(client, GROUP, "wanted", "consumer.session.timeout.ms") == ("50000", 8)
    assert value(client, GROUP, "other", "consumer.session.timeout.ms")[1] == 5

    def listed(*types: int) -> list[tuple[int, str]]:
        request = ListConfigResourcesRequest(resource_types=list(types))
        found = client.call(request, 1, ListConfigResourcesResponse).config_resources
        return [(each.resource_type, each.resource_name) for each in found]

    assert listed(GROUP) == [(GROUP, "wanted")]
    assert listed(BROKER) == [(BROKER, "1")]
    assert {(GROUP, "wanted"), (BROKER, "1")} < set(listed())
    assert client.call(ListConfigResourcesRequest(), 0, ListConfigResourcesResponse).config_resources == []


def test_a_resource_is_named_at_most_once(client: RawClient) -> None:
    # Each change waits for the disk: a few bytes, repeated, would keep everybody waiting.
    config = AlterableConfig(name="consumer.session.timeout.ms", config_operation=0, value="50000")
    twice, once = (
        AlterConfigsResource(resource_type=32, resource_name=name, configs=[config])
        for name in ("named-twice", "named-once")
    )
    request = IncrementalAlterConfigsRequest(resources=[twice, once, twice])
    answers = client.call(request, 1, IncrementalAlterConfigsResponse).responses
    assert [(each.resource_name, each.error_code) for each in answers] == [
        ("named-twice", ErrorCode.INVALID_REQUEST),
        ("named-once", ErrorCode.NONE),
        ("named-twice", ErrorCode.INVALID_REQUEST),
    ]
    assert value(client, 32, "named-twice", "consumer.session.timeout.ms")[0] == "45000"
    assert value(client, 32, "named-once", "consumer.session.timeout.ms")[0] == "50000"
