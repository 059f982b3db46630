"""SaslHandshake (17), SaslAuthenticate (36); delegation tokens: create (38), renew (39), expire (40), describe (41).

A connection without SASL is told so, as by Apache Kafka's plaintext listener: it can neither log in nor get a token.

Version notes: CreateDelegationToken v3 names who asked beside the owner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.model import ErrorCode
from rota.wire.messages.create_delegation_token import (
    CreateDelegationTokenRequest,
    CreateDelegationTokenResponse,
)
from rota.wire.messages.describe_delegation_token import (
    DescribeDelegationTokenRequest,
    DescribeDelegationTokenResponse,
)
from rota.wire.messages.expire_delegation_token import (
    ExpireDelegationTokenRequest,
    ExpireDelegationTokenResponse,
)
from rota.wire.messages.renew_delegation_token import (
    RenewDelegationTokenRequest,
    RenewDelegationTokenResponse,
)
from rota.wire.messages.sasl_authenticate import SaslAuthenticateRequest, SaslAuthenticateResponse
from rota.wire.messages.sasl_handshake import SaslHandshakeRequest, SaslHandshakeResponse

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request
    from rota.wire.schema import Message

__all__ = ["handle"]

_NO_SASL = ErrorCode.ILLEGAL_SASL_STATE
_NO_TOKENS = ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED
_EVERYBODY = ("User", "ANONYMOUS")
_NEVER = -1
_WITH_REQUESTER = 3


def handle(_broker: Broker, message: Message, request: Request) -> Message:
    match message:
        case SaslHandshakeRequest():
            return SaslHandshakeResponse(error_code=_NO_SASL)
        case SaslAuthenticateRequest():
            text = "there is no SASL on this listener"
            return SaslAuthenticateResponse(error_code=_NO_SASL, error_message=text)
        case CreateDelegationTokenRequest():
            return _no_new_token(with_requester=request.version >= _WITH_REQUESTER)
        case RenewDelegationTokenRequest():
            return RenewDelegationTokenResponse(error_code=_NO_TOKENS, expiry_timestamp_ms=_NEVER)
        case ExpireDelegationTokenRequest():
            return ExpireDelegationTokenResponse(error_code=_NO_TOKENS, expiry_timestamp_ms=_NEVER)
        case _:
            assert isinstance(message, DescribeDelegationTokenRequest)
            return DescribeDelegationTokenResponse(error_code=_NO_TOKENS)


def _no_new_token(*, with_requester: bool) -> CreateDelegationTokenResponse:
    kind, name = _EVERYBODY
    return CreateDelegationTokenResponse(
        error_code=_NO_TOKENS,
        principal_type=kind,
        principal_name=name,
        token_requester_principal_type=kind if with_requester else "",
        token_requester_principal_name=name if with_requester else "",
        issue_timestamp_ms=_NEVER,
        expiry_timestamp_ms=_NEVER,
        max_timestamp_ms=_NEVER,
    )
