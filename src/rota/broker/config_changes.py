"""Changing configs: topics', this broker's, the cluster's and groups', whole (AlterConfigs) or by parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from rota.broker.configs import BROKER, GROUP, TOPIC, ConfigDef, nearest
from rota.broker.storage_errors import storing
from rota.model import ErrorCode, KafkaError, RotaError
from rota.plain import Plain

if TYPE_CHECKING:
    from rota.broker.broker import Broker

__all__ = ["BROKER_RESOURCE", "GROUP_RESOURCE", "TOPIC_RESOURCE", "Change", "change", "replace"]

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
    known: Mapping[str, ConfigDef]
    keep: Callable[[dict[str, str]], None]
    check: Callable[[str, ConfigDef], None] | None = None
    limits: Mapping[str, tuple[int, int]] = {}
    """The least and the greatest value that the broker's own configs leave to this resource's."""


def change(
    broker: Broker, resource_type: int, name: str, changes: Sequence[Change], *, validate_only: bool
) -> None:
    """Apply ``changes`` to one resource, all or none. Raises ``KafkaError``."""
    target = _target(broker, resource_type, name)
    seen: set[str] = set()
    configs = dict(target.current)
    for each in changes:
        if each.name in seen:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"config {each.name} is named more than once")
        seen.add(each.name)
        if each.operation == _DELETE:
            if resource_type == BROKER_RESOURCE and each.name == MIN_ISR:  # KIP-966
                raise KafkaError(ErrorCode.INVALID_CONFIG, f"a cluster always has its {MIN_ISR}")
            # Also what nobody knows: kafka-reassign-partitions deletes throttles without asking whether there are any.
            configs.pop(each.name, None)
        else:
            _apply(configs, _definition(target, each.name), each)
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
            return _Target("topic", topic.configs, TOPIC, lambda new: broker.topics.set_configs(name, new))
        case 4:
            node = _node(broker, name)
            return _Target(
                "broker",
                metadata.broker_overrides(node),
                BROKER,
                lambda new: broker.set_broker_configs(node, new),
                _check_is_brokers_own if node is not None else _check_is_cluster_wide,
            )
        case 32:
            if not name:
                raise KafkaError(ErrorCode.INVALID_REQUEST, "a group's id cannot be empty")
            return _Target(
                "group",
                metadata.group_configs(name),
                GROUP,
                lambda new: metadata.put_group_configs(name, new),
                limits={each: _group_limits(broker, each) for each in _LIMITED_GROUP_CONFIGS},
            )
        case _:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"resource type {resource_type} has no configs here")


def _group_limits(broker: Broker, name: str) -> tuple[int, int]:
    kind = name.removeprefix("consumer.")
    return (
        broker.settings.int(f"group.consumer.min.{kind}"),
        broker.settings.int(f"group.consumer.max.{kind}"),
    )


def _node(broker: Broker, name: str) -> int | None:
    """The broker that a resource name means; None for the cluster-wide default."""
    if not name:
        return None
    if name != str(broker.node_id):
        raise KafkaError(
            ErrorCode.INVALID_REQUEST, f"there is no broker {name}; this one is {broker.node_id}"
        )
    return broker.node_id


def _check_is_brokers_own(name: str, definition: ConfigDef) -> None:
    _check_is_dynamic(name, definition)
    if name == MIN_ISR:  # KIP-966
        raise KafkaError(ErrorCode.INVALID_CONFIG, f"{name} can be set for topics and for all brokers only")


def _check_is_dynamic(name: str, definition: ConfigDef) -> None:
    if not definition.is_dynamic:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST, f"config {name} can only be set when the broker starts (--config)"
        )


def _check_is_cluster_wide(name: str, definition: ConfigDef) -> None:
    _check_is_dynamic(name, definition)
    if definition.mode == "per-broker":
        raise KafkaError(
            ErrorCode.INVALID_REQUEST, f"config {name} can only be set for one broker, not for all by default"
        )


def _definition(target: _Target, name: str) -> ConfigDef:
    definition = target.known.get(name)
    if definition is None:
        near = nearest(name, target.known)
        hint = f"; did you mean {near}?" if near else ""
        raise KafkaError(ErrorCode.INVALID_CONFIG, f"unknown {target.kind} config {name!r}{hint}")
    if target.check is not None:
        target.check(name, definition)
    return definition


def _apply(configs: dict[str, str], definition: ConfigDef, step: Change) -> None:
    name = step.name
    if step.value is None:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"config {name} has no value")
    if step.operation == _SET:
        configs[name] = step.value
        return
    if step.operation not in {_APPEND, _SUBTRACT}:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"operation {step.operation} is not known")
    if definition.type != "list":
        raise KafkaError(ErrorCode.INVALID_CONFIG, f"config {name} is no list: it can only be set or deleted")
    parts = [part for part in configs.get(name, definition.default_text or "").split(",") if part]
    given = [part.strip() for part in step.value.split(",") if part.strip()]
    if step.operation == _APPEND:
        parts += [part for part in given if part not in parts]
    else:
        parts = [part for part in parts if part not in given]
    configs[name] = ",".join(parts)


def _check(target: _Target, configs: Mapping[str, str], changed: set[str]) -> None:
    for name in changed & set(configs):
        try:
            target.known[name].parse(configs[name])
        except RotaError as error:
            invalid = ErrorCode.INVALID_REQUEST if target.kind == "broker" else ErrorCode.INVALID_CONFIG
            raise KafkaError(invalid, str(error)) from error
        least, greatest = target.limits.get(name, (None, None))
        if least is not None and greatest is not None and not least <= int(configs[name]) <= greatest:
            raise KafkaError(
                ErrorCode.INVALID_CONFIG,
                f"config {name} of {configs[name]}: this broker allows {least} to {greatest} (group.consumer.min.…,"
                " group.consumer.max.…)",
            )
