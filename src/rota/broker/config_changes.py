"""Changing configs: of topics, this broker, the cluster, groups, client metrics; whole (AlterConfigs) or by parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rota.broker import client_metrics, loggers
from rota.broker.configs import BROKER, GROUP, TOPIC, ConfigDef, nearest
from rota.broker.configs.dynamic import THREADS, broker_definition, can_be_cluster_wide
from rota.broker.storage_errors import storing
from rota.model import ErrorCode, KafkaError, RotaError
from rota.plain import Plain

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.wire.messages.alter_configs import AlterConfigsRequest, AlterConfigsResponse
    from rota.wire.messages.incremental_alter_configs import (
        IncrementalAlterConfigsRequest,
        IncrementalAlterConfigsResponse,
    )

__all__ = [
    "BROKER_LOGGER_RESOURCE",
    "BROKER_RESOURCE",
    "CLIENT_METRICS_RESOURCE",
    "GROUP_RESOURCE",
    "TOPIC_RESOURCE",
    "Change",
    "change",
    "check_named_once",
    "node_of",
    "replace",
    "written_once",
]

TOPIC_RESOURCE: Final = 2
BROKER_RESOURCE: Final = 4
BROKER_LOGGER_RESOURCE: Final = 8
CLIENT_METRICS_RESOURCE: Final = 16
GROUP_RESOURCE: Final = 32

MIN_ISR: Final = "min.insync.replicas"

_LIMITED_GROUP_CONFIGS: Final = ("consumer.heartbeat.interval.ms", "consumer.session.timeout.ms")

_SET, _DELETE, _APPEND, _SUBTRACT = 0, 1, 2, 3


class Change(Plain):
    """One step of an incremental change: operation 0 set, 1 delete, 2 append, 3 subtract (KIP-339)."""

    name: str
    operation: int
    value: str | None


class _Target(Plain):
    """Whose configs are changed: what is set now, the names there are, and how the new ones are kept."""

    kind: str
    current: Mapping[str, str]
    find: Callable[[str], ConfigDef | None]
    keep: Callable[[dict[str, str]], None]
    check: Callable[[str, ConfigDef | None], None] | None = None
    limits: Mapping[str, tuple[int, int]] = {}
    """The least and the greatest value that the broker's own configs leave to this resource's."""
    check_all: Callable[[Mapping[str, str]], None] | None = None
    known: Iterable[str] = ()
    """The names there are, where no others can be set."""


def check_named_once(
    message: AlterConfigsRequest | IncrementalAlterConfigsRequest,
) -> Callable[[int, str], None]:
    """A check that raises ``KafkaError`` for a resource that a request names several times, as Kafka refuses it.

    Each change waits for the disk: a few bytes, repeated, would keep everybody waiting.
    """
    times_named = Counter((each.resource_type, each.resource_name) for each in message.resources)

    def check(resource_type: int, name: str) -> None:
        if times_named[resource_type, name] > 1:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "each resource must be named at most once")

    return check


@contextmanager
def written_once(
    broker: Broker, response: AlterConfigsResponse | IncrementalAlterConfigsResponse
) -> Iterator[None]:
    """What is changed inside is written down together: one by one, thousands would keep everybody waiting."""
    try:
        with storing("configs"), broker.directory.metadata.at_once():
            yield
    except KafkaError as error:
        broker.reload_configs()
        for result in response.responses:
            if not result.error_code:
                result.error_code, result.error_message = error.code, error.message


def change(
    broker: Broker, resource_type: int, name: str, changes: Sequence[Change], *, validate_only: bool
) -> None:
    """Apply ``changes`` to one resource, all or none. Raises ``KafkaError``."""
    seen: set[str] = set()
    for each in changes:
        if each.name in seen:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"config {each.name} is named more than once")
        seen.add(each.name)
        if each.value is None and each.operation != _DELETE:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"config {each.name} has no value")
    if resource_type == BROKER_LOGGER_RESOURCE:
        _change_levels(broker, name, changes, validate_only=validate_only)
        return
    target = _target(broker, resource_type, name)
    configs = dict(target.current)
    for each in changes:
        if each.operation == _DELETE:
            if resource_type == BROKER_RESOURCE and each.name == MIN_ISR:  # KIP-966
                raise KafkaError(ErrorCode.INVALID_CONFIG, f"a cluster always has its {MIN_ISR}")
            # Also what nobody knows: kafka-reassign-partitions deletes throttles without asking whether there are any.
            configs.pop(each.name, None)
        else:
            _apply(target, configs, each)
    _check(target, configs, seen)
    if not validate_only:
        with storing(f"configs of {target.kind} {name}".rstrip()):
            target.keep(configs)


def replace(
    broker: Broker, resource_type: int, name: str, values: Mapping[str, str | None], *, validate_only: bool
) -> None:
    """Set exactly ``values`` for one resource; what is not named goes back to its default."""
    target = _target(broker, resource_type, name)
    for config, value in values.items():
        _definition(target, config)
        if value is None:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"config {config} has no value")
    if resource_type == BROKER_RESOURCE and not name and MIN_ISR not in values:  # KIP-966
        raise KafkaError(ErrorCode.INVALID_CONFIG, f"a cluster always has its {MIN_ISR}")
    configs = {config: value for config, value in values.items() if value is not None}
    _check(target, configs, set(configs))
    if not validate_only:
        with storing(f"configs of {target.kind} {name}".rstrip()):
            target.keep(configs)


def _target(broker: Broker, resource_type: int, name: str) -> _Target:
    metadata = broker.directory.metadata
    match resource_type:
        case 2:
            topic = broker.topics.get(name)
            if topic is None:
                raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no topic {name}")
            return _Target(
                "topic",
                topic.configs,
                TOPIC.get,
                lambda new: broker.topics.set_configs(name, new),
                known=TOPIC,
            )
        case 4:
            node = node_of(broker, name) if name else None
            return _Target(
                "broker",
                metadata.broker_overrides(node),
                broker_definition,
                lambda new: broker.set_broker_configs(node, new),
                _check_is_cluster_wide if node is None else _check_is_brokers_own,
                limits=_thread_limits(broker),
            )
        case 16:
            if not name:
                raise KafkaError(ErrorCode.INVALID_REQUEST, "a subscription's name cannot be empty")
            return _Target(
                "client metrics",
                metadata.stored(client_metrics.TABLE, name),
                client_metrics.CONFIGS.get,
                lambda new: metadata.put(client_metrics.TABLE, name, new),
                check_all=client_metrics.check,
                known=client_metrics.CONFIGS,
            )
        case 32:
            if not name:
                raise KafkaError(ErrorCode.INVALID_REQUEST, "a group's id cannot be empty")
            return _Target(
                "group",
                metadata.group_configs(name),
                GROUP.get,
                lambda new: broker.set_group_configs(name, new),
                limits={each: _group_limits(broker, each) for each in _LIMITED_GROUP_CONFIGS},
                known=GROUP,
            )
        case _:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"resource type {resource_type} has no configs here")


def _change_levels(broker: Broker, name: str, changes: Sequence[Change], *, validate_only: bool) -> None:
    node_of(broker, name)
    for each in changes:
        if each.operation in {_APPEND, _SUBTRACT}:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "a level can only be set or deleted")
        if each.operation not in {_SET, _DELETE}:
            raise _no_operation(ErrorCode.UNKNOWN_SERVER_ERROR, each)
        loggers.check(each.name, each.value if each.operation == _SET else None)
    for each in () if validate_only else changes:
        loggers.set_level(each.name, each.value if each.operation == _SET else None)


def _thread_limits(broker: Broker) -> dict[str, tuple[int, int]]:
    counts = {name: broker.settings.int(name) for name in THREADS}
    return {name: (max(1, count // 2), 2 * count) for name, count in counts.items()}


def _group_limits(broker: Broker, name: str) -> tuple[int, int]:
    kind = name.removeprefix("consumer.")
    return (
        broker.settings.int(f"group.consumer.min.{kind}"),
        broker.settings.int(f"group.consumer.max.{kind}"),
    )


def node_of(broker: Broker, name: str) -> int:
    """The broker that a resource's name means. Raises ``KafkaError`` unless it is this one."""
    if name != str(broker.node_id):
        raise KafkaError(
            ErrorCode.INVALID_REQUEST, f"there is no broker {name}; this one is {broker.node_id}"
        )
    return broker.node_id


def _check_is_brokers_own(name: str, _definition: ConfigDef | None) -> None:
    _check_is_dynamic(name)
    if name == MIN_ISR:  # KIP-966
        raise KafkaError(ErrorCode.INVALID_CONFIG, f"{name} can be set for topics and for all brokers only")


def _check_is_dynamic(name: str) -> None:
    listed = BROKER.get(name)
    if listed is not None and not listed.is_dynamic:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST, f"config {name} can only be set when the broker starts (--config)"
        )


def _check_is_cluster_wide(name: str, definition: ConfigDef | None) -> None:
    _check_is_dynamic(name)
    is_per_broker = definition is not None and definition.mode == "per-broker"
    if is_per_broker or not can_be_cluster_wide(name):
        raise KafkaError(
            ErrorCode.INVALID_REQUEST, f"config {name} can only be set for one broker, not for all by default"
        )


def _definition(target: _Target, name: str) -> ConfigDef | None:
    """What is known of a config; None where it may be set though nothing is. Raises ``KafkaError``."""
    definition = target.find(name)
    if definition is None and target.known:
        near = nearest(name, target.known)
        hint = f"; did you mean {near}?" if near else ""
        is_metrics = target.kind == "client metrics"
        code = ErrorCode.INVALID_REQUEST if is_metrics else ErrorCode.INVALID_CONFIG
        raise KafkaError(code, f"unknown {target.kind} config {name!r}{hint}")
    if target.check is not None:
        target.check(name, definition)
    return definition


def _apply(target: _Target, configs: dict[str, str], step: Change) -> None:
    name = step.name
    assert step.value is not None
    is_broker = target.kind == "broker"
    if step.operation not in {_SET, _APPEND, _SUBTRACT}:
        raise _no_operation(ErrorCode.INVALID_REQUEST if is_broker else ErrorCode.UNKNOWN_SERVER_ERROR, step)
    definition = _definition(target, name)
    if step.operation == _SET:
        configs[name] = step.value
        return
    if definition is None:
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, f"nobody knows whether config {name} is a list")
    # Kafka's controller does not know that those of client metrics are lists.
    if definition.type != "list" or target.kind == "client metrics":
        raise KafkaError(ErrorCode.INVALID_CONFIG, f"config {name} is no list: it can only be set or deleted")
    parts = [part for part in configs.get(name, definition.default_text or "").split(",") if part]
    given = [part.strip() for part in step.value.split(",") if part.strip()]
    if step.operation == _APPEND:
        parts += [part for part in given if part not in parts]
    else:
        parts = [part for part in parts if part not in given]
    configs[name] = ",".join(parts)


def _no_operation(code: ErrorCode, step: Change) -> KafkaError:
    return KafkaError(code, f"operation {step.operation} is not known")


def _check(target: _Target, configs: Mapping[str, str], changed: set[str]) -> None:
    is_broker = target.kind == "broker"
    for name in changed & set(configs):
        definition = target.find(name)
        if definition is None:
            continue
        try:
            definition.parse(configs[name])
        except RotaError as error:
            invalid = ErrorCode.INVALID_REQUEST if is_broker else ErrorCode.INVALID_CONFIG
            raise KafkaError(invalid, str(error)) from error
        least, greatest = target.limits.get(name, (None, None))
        if least is not None and greatest is not None and not least <= int(configs[name]) <= greatest:
            why = (
                "at most halved or doubled in one step"
                if is_broker
                else "group.consumer.min.…, group.consumer.max.…"
            )
            raise KafkaError(
                ErrorCode.INVALID_REQUEST if is_broker else ErrorCode.INVALID_CONFIG,
                f"config {name} of {configs[name]}: this broker allows {least} to {greatest} ({why})",
            )
    if target.check_all is not None:
        target.check_all(configs)
