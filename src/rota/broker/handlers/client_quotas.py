"""DescribeClientQuotas (48) and AlterClientQuotas (49), versions 0-1: what users, client ids and addresses may use.

Version notes: v1 flexible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.broker.client_quotas import CLIENT_ID, IP, TYPES, USER, Entity, alter, entries
from rota.broker.storage_errors import storing
from rota.model import ErrorCode, KafkaError
from rota.wire.messages import alter_client_quotas as altering
from rota.wire.messages import describe_client_quotas as describing

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request

__all__ = ["handle"]

_EXACT, _DEFAULT, _ANY = 0, 1, 2
_EntityKey = tuple[tuple[str, str | None], ...]


def handle(
    broker: Broker,
    message: describing.DescribeClientQuotasRequest | altering.AlterClientQuotasRequest,
    _request: Request,
) -> describing.DescribeClientQuotasResponse | altering.AlterClientQuotasResponse:
    if isinstance(message, altering.AlterClientQuotasRequest):
        return _alter(broker, message)
    try:
        return _describe(broker, message)
    except KafkaError as error:
        return describing.DescribeClientQuotasResponse(
            error_code=error.code, error_message=error.message, entries=None
        )


# --- describe -----------------------------------------------------------------------------------------------


def _describe(
    broker: Broker, message: describing.DescribeClientQuotasRequest
) -> describing.DescribeClientQuotasResponse:
    wanted: dict[str, describing.ComponentData] = {}
    for component in message.components:
        _check_component(component)
        if component.entity_type in wanted:
            text = f"entity type {component.entity_type} is named more than once"
            raise KafkaError(ErrorCode.INVALID_REQUEST, text)
        wanted[component.entity_type] = component
    if IP in wanted and (USER in wanted or CLIENT_ID in wanted):
        raise KafkaError(ErrorCode.INVALID_REQUEST, "an ip's quota is that of no user and no client id")
    return describing.DescribeClientQuotasResponse(
        entries=[
            describing.EntryData(
                entity=[
                    describing.EntityData(entity_type=type_, entity_name=name)
                    for type_, name in entity.items()
                ],
                values=[describing.ValueData(key=key, value=value) for key, value in quotas.items()],
            )
            for entity, quotas in entries(broker.directory.metadata)
            if _matches(entity, wanted, strict=message.strict)
        ]
    )


def _check_component(component: describing.ComponentData) -> None:
    if not component.entity_type:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "an entity type cannot be empty")
    if component.entity_type not in TYPES:
        raise KafkaError(ErrorCode.UNSUPPORTED_VERSION, f"there is no entity type {component.entity_type}")
    if component.match_type not in {_EXACT, _DEFAULT, _ANY}:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"there is no match type {component.match_type}")
    if (component.match is None) == (component.match_type == _EXACT):
        text = f"match type {component.match_type} with the name {component.match}"
        raise KafkaError(ErrorCode.INVALID_REQUEST, text)


def _matches(entity: Entity, wanted: dict[str, describing.ComponentData], *, strict: bool) -> bool:
    if strict and entity.keys() != wanted.keys():
        return False
    return all(
        type_ in entity and (component.match_type == _ANY or entity[type_] == component.match)
        for type_, component in wanted.items()
    )


# --- alter --------------------------------------------------------------------------------------------------


def _alter(broker: Broker, message: altering.AlterClientQuotasRequest) -> altering.AlterClientQuotasResponse:
    results: dict[_EntityKey, KafkaError | None] = {}
    try:
        with storing("quotas"), broker.directory.metadata.at_once():
            _alter_each(broker, message, results)
    except KafkaError as error:
        results = {key: failed or error for key, failed in results.items()}
    return altering.AlterClientQuotasResponse(
        entries=[_altered(key, error) for key, error in results.items()]
    )


def _alter_each(
    broker: Broker, message: altering.AlterClientQuotasRequest, results: dict[_EntityKey, KafkaError | None]
) -> None:
    for entry in message.entries:
        entity = {part.entity_type: part.entity_name for part in entry.entity}
        key = tuple(entity.items())
        try:
            if key in results:
                raise KafkaError(ErrorCode.INVALID_REQUEST, "an entity is named more than once")
            changes = {each.key: None if each.remove else each.value for each in entry.ops}
            if len(changes) < len(entry.ops):
                raise KafkaError(ErrorCode.INVALID_REQUEST, "a quota is named more than once")
            alter(broker.directory.metadata, entity, changes, validate_only=message.validate_only)
        except KafkaError as error:
            results[key] = error
        else:
            results[key] = None


def _altered(key: _EntityKey, error: KafkaError | None) -> altering.AlterClientQuotasResponseEntryData:
    return altering.AlterClientQuotasResponseEntryData(
        error_code=ErrorCode.NONE if error is None else error.code,
        error_message=None if error is None else error.message,
        entity=[
            altering.AlterClientQuotasResponseEntityData(entity_type=type_, entity_name=name)
            for type_, name in key
        ],
    )
