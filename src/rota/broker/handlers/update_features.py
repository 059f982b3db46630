"""UpdateFeatures (key 57), versions 0-2: raise or lower the levels of features (KIP-584).

Version notes: v1 upgrade types (v0: whether a downgrade is allowed) and ``validate_only``; v2 one error for all.

Differs from Apache Kafka on purpose: only ``transaction.version`` and ``eligible.leader.replicas.version`` get another
level. Of the others it is only said that they could, where Kafka would say so (``validate_only``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rota.broker.features import FEATURES, level, set_level
from rota.broker.storage_errors import storing
from rota.model import ErrorCode, KafkaError
from rota.wire.messages.update_features import (
    FeatureUpdateKey,
    UpdatableFeatureResult,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request

__all__ = ["handle"]

_UPGRADE: Final = 1
_TYPES: Final = frozenset({1, 2, 3})  # upgrade, safe and unsafe downgrade
_ONE_ERROR_FOR_ALL: Final = 2


def handle(broker: Broker, message: UpdateFeaturesRequest, request: Request) -> UpdateFeaturesResponse:
    try:
        for update in message.feature_updates:
            _check(broker, update, validate_only=message.validate_only)
        if not message.validate_only:
            for update in message.feature_updates:
                _change(broker, update.feature, update.max_version_level)
    except KafkaError as error:
        return UpdateFeaturesResponse(error_code=error.code, error_message=error.message)
    if request.version >= _ONE_ERROR_FOR_ALL:
        return UpdateFeaturesResponse(error_message=None)
    return UpdateFeaturesResponse(
        error_message=None,
        results=[
            UpdatableFeatureResult(feature=each.feature, error_message="NONE")
            for each in message.feature_updates
        ],
    )


def _check(broker: Broker, update: FeatureUpdateKey, *, validate_only: bool) -> None:
    feature = FEATURES.get(update.feature)
    new = update.max_version_level
    if update.upgrade_type not in _TYPES:
        raise _error(update, f"there is no upgrade type {update.upgrade_type}")
    if feature is None:
        raise _error(update, "there is no such feature")
    if not feature.lowest <= new <= feature.highest:
        raise _error(update, f"levels {feature.lowest} to {feature.highest} are possible")
    now = level(broker.directory.metadata, update.feature)
    if new < now and update.upgrade_type == _UPGRADE:
        raise _error(update, f"its level is {now}, and a downgrade has to be asked for as such")
    if new > now and update.upgrade_type != _UPGRADE:
        raise _error(update, f"its level is {now}, which is lower")
    if new != now and not feature.can_change and not validate_only:
        raise _error(update, f"on this broker it stays at {now}")


def _change(broker: Broker, name: str, new: int) -> None:
    if new != level(broker.directory.metadata, name):
        with storing(f"feature {name}"):
            set_level(broker.directory.metadata, name, new)


def _error(update: FeatureUpdateKey, why: str) -> KafkaError:
    text = f"nothing was changed: {update.feature} to level {update.max_version_level}: {why}"
    return KafkaError(ErrorCode.INVALID_UPDATE_VERSION, text)
