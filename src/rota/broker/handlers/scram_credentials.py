"""DescribeUserScramCredentials (50) and AlterUserScramCredentials (51), version 0: users who could log in (KIP-554).

There is no SASL here, so of a credential only what can be described is kept: its mechanism and its iterations.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from rota.broker.storage_errors import storing
from rota.model import ErrorCode, KafkaError
from rota.wire.messages.alter_user_scram_credentials import (
    AlterUserScramCredentialsRequest,
    AlterUserScramCredentialsResponse,
    AlterUserScramCredentialsResult,
)
from rota.wire.messages.describe_user_scram_credentials import (
    CredentialInfo,
    DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
    DescribeUserScramCredentialsResult,
)

if TYPE_CHECKING:
    from rota.broker.broker import Broker
    from rota.broker.request import Request

__all__ = ["handle"]

_TABLE: Final = "scram_credentials"
_MECHANISMS: Final = {1: "SCRAM-SHA-256", 2: "SCRAM-SHA-512"}
_ITERATIONS: Final = range(4096, 16384 + 1)


def handle(
    broker: Broker,
    message: DescribeUserScramCredentialsRequest | AlterUserScramCredentialsRequest,
    _request: Request,
) -> DescribeUserScramCredentialsResponse | AlterUserScramCredentialsResponse:
    if isinstance(message, DescribeUserScramCredentialsRequest):
        asked = [user.name for user in message.users or ()] or broker.directory.metadata.names(_TABLE)
        return DescribeUserScramCredentialsResponse(
            results=[_describe(broker, name, times) for name, times in Counter(asked).items()]
        )
    return _alter(broker, message)


def _describe(broker: Broker, name: str, times: int) -> DescribeUserScramCredentialsResult:
    result = DescribeUserScramCredentialsResult(user=name)
    credentials = broker.directory.metadata.stored(_TABLE, name)
    if times > 1:
        result.error_code = ErrorCode.DUPLICATE_RESOURCE
        result.error_message = f"user {name} is named more than once"
    elif not credentials:
        result.error_code = ErrorCode.RESOURCE_NOT_FOUND
        result.error_message = f"user {name} has no credentials"
    result.credential_infos = [
        CredentialInfo(mechanism=int(mechanism), iterations=iterations)
        for mechanism, iterations in sorted(credentials.items())
        if times == 1
    ]
    return result


def _alter(broker: Broker, message: AlterUserScramCredentialsRequest) -> AlterUserScramCredentialsResponse:
    changes: list[tuple[str, int, int | None]] = [
        (each.name, each.mechanism, None) for each in message.deletions
    ]
    changes += [(each.name, each.mechanism, each.iterations) for each in message.upsertions]
    response = AlterUserScramCredentialsResponse()
    try:
        with storing("credentials"), broker.directory.metadata.at_once():
            _change_each(broker, changes, response)
    except KafkaError as error:
        for each in response.results:
            if not each.error_code:
                each.error_code, each.error_message = error.code, error.message
    return response


def _change_each(
    broker: Broker, changes: list[tuple[str, int, int | None]], response: AlterUserScramCredentialsResponse
) -> None:
    times_named = Counter(name for name, _, _ in changes)
    for name, mechanism, iterations in {change[0]: change for change in changes}.values():
        result = AlterUserScramCredentialsResult(user=name, error_message=None)
        response.results.append(result)
        try:
            if times_named[name] > 1:
                raise KafkaError(ErrorCode.DUPLICATE_RESOURCE, f"user {name} is named more than once")
            _change(broker, name, mechanism, iterations)
        except KafkaError as error:
            result.error_code, result.error_message = error.code, error.message


def _change(broker: Broker, name: str, mechanism: int, iterations: int | None) -> None:
    if not name:
        raise KafkaError(ErrorCode.UNACCEPTABLE_CREDENTIAL, "a user's name cannot be empty")
    if mechanism not in _MECHANISMS:
        known = ", ".join(f"{number} ({text})" for number, text in _MECHANISMS.items())
        raise KafkaError(ErrorCode.UNSUPPORTED_SASL_MECHANISM, f"mechanism {mechanism} is none of {known}")
    credentials = broker.directory.metadata.stored(_TABLE, name)
    if iterations is None:
        if credentials.pop(str(mechanism), None) is None:
            text = f"user {name} has no credential of {_MECHANISMS[mechanism]}"
            raise KafkaError(ErrorCode.RESOURCE_NOT_FOUND, text)
    elif iterations not in _ITERATIONS:
        text = f"{iterations} iterations: between {_ITERATIONS[0]} and {_ITERATIONS[-1]} are possible"
        raise KafkaError(ErrorCode.UNACCEPTABLE_CREDENTIAL, text)
    else:
        credentials[str(mechanism)] = iterations
    with storing(f"credentials of user {name}"):
        broker.directory.metadata.put(_TABLE, name, credentials)
