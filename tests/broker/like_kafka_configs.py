"""Conversations about configs that are in no table, of loggers and of client metrics, for ``test_like_kafka``."""

from __future__ import annotations

from collections.abc import Callable

from tests.broker.talk import Talk
from tests.kafka.ports import wait_until

from rota.wire.messages.alter_configs import AlterableConfig as WholeConfig
from rota.wire.messages.alter_configs import (
    AlterConfigsRequest,
    AlterConfigsResponse,
)
from rota.wire.messages.alter_configs import AlterConfigsResource as WholeResource
from rota.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
)
from rota.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from rota.wire.messages.list_config_resources import (
    ListConfigResourcesRequest,
    ListConfigResourcesResponse,
)

__all__ = ["CASES", "PROVOKED"]

_TOPIC, _BROKER, _LOGGER, _CLIENT_METRICS, _GROUP = 2, 4, 8, 16, 32
_SET, _DELETE, _APPEND, _SUBTRACT = range(4)
_PER_LISTENER = "listener.name.plaintext.max.connections"


def configs_in_no_table(talk: Talk) -> None:
    """A broker keeps what it does not know, for plugins; what it cannot judge, it does not show."""
    for resource, name, operation, value in (
        ("1", "nonsense", _APPEND, "1"),
        ("1", "nonsense", _SUBTRACT, "1"),
        ("1", "nonsense", 9, "1"),
        ("1", "listener.name.plaintext.max.connections", _SET, "soon"),
        ("", "listener.name.plaintext.nonsense", _SET, "1"),
        ("1", "leader.replication.throttled.rate", _SET, "soon"),
        ("", "follower.replication.throttled.rate", _SET, "-1"),
        ("1", "log.retention.ms", 9, "5"),
    ):
        talk.ask(_change(_BROKER, resource, name, operation, value), 1, IncrementalAlterConfigsResponse)
    there = {
        "1": {
            "nonsense": "1",
            "": "x",
            _PER_LISTENER: "1000",
            "leader.replication.throttled.rate": "1000000",
        },
        "": {"nonsense": "2", "a b": "x", _PER_LISTENER: "2000"},
    }
    for resource, configs in there.items():
        for name, value in configs.items():
            talk.ask(_change(_BROKER, resource, name, _SET, value), 1, IncrementalAlterConfigsResponse)
        wait_until("they are seen", lambda: set(configs) <= set(_configs(talk, _BROKER, resource)))  # noqa: B023
    for resource in there:
        for with_synonyms in (False, True):
            talk.ask_in_all(
                _describe(_BROKER, resource, with_synonyms=with_synonyms), DescribeConfigsResponse
            )
    for resource, configs in there.items():
        for name in configs:
            talk.ask(_change(_BROKER, resource, name, _DELETE, None), 1, IncrementalAlterConfigsResponse)
    wait_until("they are gone", lambda: not {"nonsense", "", "a b"} & set(_configs(talk, _BROKER, "1")))
    for resource in there:
        whole = WholeResource(
            resource_type=_BROKER,
            resource_name=resource,
            configs=[WholeConfig(name="nonsense", value="1")],
        )
        talk.ask(AlterConfigsRequest(resources=[whole], validate_only=True), 2, AlterConfigsResponse)


def numbers_of_threads(talk: Talk) -> None:
    """They can be halved or doubled, and no more in one step."""
    for name, now in (
        ("background.threads", 10),
        ("log.cleaner.threads", 1),
        ("num.io.threads", 8),
        ("num.network.threads", 3),
        ("num.recovery.threads.per.data.dir", 2),
        ("num.replica.fetchers", 1),
    ):
        for resource in ("1", ""):
            for count in (-1, 0, now // 2 - 1, now // 2, 2 * now, 2 * now + 1):
                request = _change(_BROKER, resource, name, _SET, str(count), validate_only=True)
                talk.ask(request, 1, IncrementalAlterConfigsResponse)


def levels_of_loggers(talk: Talk) -> None:
    """Which loggers there are is each broker's own, but for ``root``."""
    for resource in ("", "7", "one"):
        talk.ask_in_all(_describe(_LOGGER, resource), DescribeConfigsResponse)
    talk.ask_in_all(_describe(_LOGGER, "1", ["root", "nonsense"]), DescribeConfigsResponse)
    for resource, name, operation, value in (
        ("1", "root", _SET, "NONSENSE"),
        ("1", "root", _SET, "info"),
        ("1", "root", _SET, "OFF"),
        ("1", "root", _SET, None),
        ("1", "root", _DELETE, None),
        ("1", "root", _APPEND, "DEBUG"),
        ("1", "root", _SUBTRACT, "DEBUG"),
        ("1", "root", 9, "DEBUG"),
        ("1", "nonsense", _SET, "INFO"),
        ("1", "nonsense", _DELETE, None),
        ("", "root", _SET, "INFO"),
        ("7", "root", _SET, "INFO"),
        ("1", "root", _SET, "ERROR"),
        ("1", "root", _SET, "WARN"),
        ("1", "root", _SET, "INFO"),
    ):
        talk.ask(_change(_LOGGER, resource, name, operation, value), 1, IncrementalAlterConfigsResponse)
        talk.ask(_describe(_LOGGER, "1", ["root"]), 4, DescribeConfigsResponse)
    several = _change(_LOGGER, "1", "root", _SET, "ERROR")
    several.resources[0].configs.append(AlterableConfig(name="nonsense", config_operation=_SET, value="INFO"))
    talk.ask(several, 1, IncrementalAlterConfigsResponse)
    talk.ask(_describe(_LOGGER, "1", ["root"]), 4, DescribeConfigsResponse)
    whole = WholeResource(resource_type=_LOGGER, resource_name="1")
    talk.ask(AlterConfigsRequest(resources=[whole]), 2, AlterConfigsResponse)


def client_metrics(talk: Talk) -> None:
    name = talk.name
    for resource, key, operation, value in (
        ("", "interval.ms", _SET, "1000"),
        (name, "nonsense", _SET, "1"),
        (name, "interval.ms", _SET, "1"),
        (name, "interval.ms", _SET, "3600001"),
        (name, "interval.ms", _SET, "soon"),
        (name, "interval.ms", _SET, None),
        (name, "interval.ms", _APPEND, "1"),
        (name, "metrics", _APPEND, "org.apache.kafka."),
        (name, "metrics", _SUBTRACT, "org.apache.kafka."),
        (name, "match", _SET, "nonsense=.*"),
        (name, "match", _SET, "client_id=("),
        (name, "match", _SET, "client_id"),
        (name, "match", _DELETE, None),
        (name, "nonsense", _DELETE, None),
        (name, "interval.ms", _SET, "1000"),
        (name, "match", _SET, "client_id=.*,client_source_port=9.*"),
    ):
        request = _change(_CLIENT_METRICS, resource, key, operation, value)
        talk.ask(request, 1, IncrementalAlterConfigsResponse)
    wait_until("they are seen", lambda: (_configs(talk, _CLIENT_METRICS, name)["match"].value or "") != "")
    for resource in (name, "missing", ""):
        for with_synonyms in (False, True):
            request_all = _describe(_CLIENT_METRICS, resource, with_synonyms=with_synonyms)
            talk.ask_in_all(request_all, DescribeConfigsResponse)
    talk.ask(_describe(_CLIENT_METRICS, name, ["match", "nonsense"]), 4, DescribeConfigsResponse)
    talk.ask(ListConfigResourcesRequest(), 0, ListConfigResourcesResponse)
    for key in ("interval.ms", "match"):
        request = _change(_CLIENT_METRICS, name, key, _DELETE, None)
        talk.ask(request, 1, IncrementalAlterConfigsResponse)
    wait_until("they are gone", lambda: not _resources(talk, _CLIENT_METRICS))


def resources_with_configs(talk: Talk) -> None:
    """A group whose configs were all deleted is still one."""
    name = talk.name
    request = _change(_GROUP, f"{name}-never", "consumer.session.timeout.ms", _DELETE, None)
    talk.ask(request, 1, IncrementalAlterConfigsResponse)
    request = _change(_GROUP, name, "consumer.session.timeout.ms", _SET, "50000")
    talk.ask(request, 1, IncrementalAlterConfigsResponse)
    wait_until("it is seen", lambda: name in _resources(talk, _GROUP))
    request = _change(_GROUP, name, "consumer.session.timeout.ms", _DELETE, None)
    talk.ask(request, 1, IncrementalAlterConfigsResponse)
    wait_until(
        "it is gone",
        lambda: _configs(talk, _GROUP, name)["consumer.session.timeout.ms"].value == "45000",
    )
    talk.ask(_describe(_GROUP, name), 4, DescribeConfigsResponse)
    assert name in _resources(talk, _GROUP)
    for types in ([_BROKER], [_LOGGER], [_CLIENT_METRICS], [_BROKER, _LOGGER], [77], [_BROKER, 77]):
        talk.ask(ListConfigResourcesRequest(resource_types=types), 1, ListConfigResourcesResponse)


def resources_named_twice(talk: Talk) -> None:
    name = talk.topic()
    request = _describe(_TOPIC, name, ["retention.ms"])
    request.resources *= 2
    talk.ask_in_all(request, DescribeConfigsResponse)


def _describe(
    kind: int, resource: str, keys: list[str] | None = None, *, with_synonyms: bool = False
) -> DescribeConfigsRequest:
    wanted = DescribeConfigsResource(resource_type=kind, resource_name=resource, configuration_keys=keys)
    return DescribeConfigsRequest(resources=[wanted], include_synonyms=with_synonyms)


def _change(
    kind: int, resource: str, name: str, operation: int, value: str | None, *, validate_only: bool = False
) -> IncrementalAlterConfigsRequest:
    step = AlterableConfig(name=name, config_operation=operation, value=value)
    change = AlterConfigsResource(resource_type=kind, resource_name=resource, configs=[step])
    return IncrementalAlterConfigsRequest(resources=[change], validate_only=validate_only)


def _configs(talk: Talk, kind: int, resource: str) -> dict[str, DescribeConfigsResourceResult]:
    answer = talk.client.call(_describe(kind, resource), 4, DescribeConfigsResponse)
    return {each.name: each for each in answer.results[0].configs}


def _resources(talk: Talk, kind: int) -> list[str]:
    ask = ListConfigResourcesRequest(resource_types=[kind])
    answer = talk.client.call(ask, 1, ListConfigResourcesResponse)
    return [each.resource_name for each in answer.config_resources]


CASES: tuple[Callable[[Talk], None], ...] = (
    configs_in_no_table,
    numbers_of_threads,
    levels_of_loggers,
    client_metrics,
    resources_with_configs,
    resources_named_twice,
)

PROVOKED: dict[str, set[str]] = {
    "AlterConfigs": {"INVALID_CONFIG", "INVALID_REQUEST"},
    "IncrementalAlterConfigs": {"INVALID_CONFIG", "INVALID_REQUEST", "UNKNOWN_SERVER_ERROR"},
    "ListConfigResources": {"UNSUPPORTED_VERSION"},
}
"""The errors that Kafka answers here."""
