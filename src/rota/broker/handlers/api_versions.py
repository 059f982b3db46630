"""ApiVersions (key 18), versions 0-4: what this broker serves.

Version notes: v3 flexible, and the client names its software (KIP-511); v4 lists features whose minimum is 0. A
version that is not known is answered in version 0 with error 35 and this API's own range.

The features are those of a new cluster of Kafka 4.1. Clients go by ``transaction.version`` 2 alone, by which Java's
producer and franz-go give up AddPartitionsToTxn (KIP-890).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rota.broker.features import FEATURES, level
from rota.model import ErrorCode
from rota.wire.apis import APIS
from rota.wire.messages.api_versions import (
    ApiVersion,
    ApiVersionsRequest,
    ApiVersionsResponse,
    FinalizedFeatureKey,
    SupportedFeatureKey,
)

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request

__all__ = ["handle", "refuse_version"]

_SOFTWARE = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")
_PRODUCE = 0
_OWN_KEY = 18
_FEATURES_VERSION, _ZERO_VERSION = 3, 4


def handle(broker: Broker, message: ApiVersionsRequest, request: Request) -> ApiVersionsResponse:
    if request.version >= 3:
        for text in (message.client_software_name, message.client_software_version):
            if not _SOFTWARE.fullmatch(text):
                return ApiVersionsResponse(error_code=ErrorCode.INVALID_REQUEST)
        request.connection.state["software"] = (message.client_software_name, message.client_software_version)
    response = ApiVersionsResponse(api_keys=_served())
    if request.version >= _FEATURES_VERSION:
        response.finalized_features_epoch = 0
        response.finalized_features = [
            FinalizedFeatureKey(name=name, min_version_level=found, max_version_level=found)
            for name in FEATURES
            if (found := level(broker.directory.metadata, name))
        ]
        response.supported_features = [
            SupportedFeatureKey(name=name, min_version=feature.lowest, max_version=feature.highest)
            for name, feature in FEATURES.items()
            if feature.lowest or request.version >= _ZERO_VERSION
        ]
    return response


def refuse_version(_broker: Broker, _message: None, _request: Request) -> ApiVersionsResponse:
    """The version asked for is not known."""
    api = APIS[_OWN_KEY]
    own = ApiVersion(api_key=_OWN_KEY, min_version=api.min_version, max_version=api.max_version)
    return ApiVersionsResponse(error_code=ErrorCode.UNSUPPORTED_VERSION, api_keys=[own])


def _served() -> list[ApiVersion]:
    from rota.broker.dispatch import SERVED

    return [
        ApiVersion(
            api_key=key,
            # Kafka says 0 for Produce and closes the connection on 0-2; librdkafka wants to see the 0.
            min_version=0 if key == _PRODUCE else APIS[key].min_version,
            max_version=APIS[key].max_version,
        )
        for key in SERVED
    ]
