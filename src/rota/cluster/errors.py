"""librdkafka's errors, said to a person: what is wrong, where, and what to do."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError as ClientError
from confluent_kafka import KafkaException

from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ClusterError", "CoordinatorAwayError", "Local", "UnreachableError", "explain", "unreachable"]


class Local(IntEnum):
    """librdkafka's own error codes, for what never reached a broker."""

    TRANSPORT = -195
    RESOLVE = -193
    ALL_BROKERS_DOWN = -187
    INVALID_ARGUMENT = -186
    TIMED_OUT = -185
    SSL = -181
    AUTHENTICATION = -169


_WORDS: dict[int, str] = {
    ClientError.TOPIC_ALREADY_EXISTS: "it already exists (--if-not-exists makes this no error)",
    ClientError.UNKNOWN_TOPIC_OR_PART: "it does not exist (`rota topics list` shows those that do)",
    ClientError.GROUP_ID_NOT_FOUND: "it does not exist (`rota groups list` shows those that do)",
    ClientError.TOPIC_AUTHORIZATION_FAILED: "this user may not do that to the topic",
    ClientError.GROUP_AUTHORIZATION_FAILED: "this user may not do that to the group",
    ClientError.CLUSTER_AUTHORIZATION_FAILED: "this user may not do that to the cluster",
    Local.TIMED_OUT: "no answer in time",
    Local.TRANSPORT: "the connection broke",
}


_WRONG_USAGE = frozenset(
    {
        ClientError.TOPIC_EXCEPTION,
        ClientError.INVALID_PARTITIONS,
        ClientError.INVALID_REPLICATION_FACTOR,
        ClientError.INVALID_CONFIG,
    }
)
"""What no cluster would do: the words of the question are wrong."""


class ClusterError(RotaError):
    """What a cluster would not do; ``code`` is Kafka's (or librdkafka's, below zero) error code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message, exit_code=2 if code in _WRONG_USAGE else 1)
        self.code = code


class UnreachableError(RotaError):
    """Nobody answers there; somebody may, later."""


class CoordinatorAwayError(ClusterError):
    """Nobody would answer about these groups for as long as a broker's successor needs."""

    def __init__(self, groups: Sequence[str], bootstrap: str, code: int) -> None:
        names = f"group {groups[0]} does" if len(groups) == 1 else f"groups {', '.join(groups)} do"
        super().__init__(
            f"the coordinator{'' if len(groups) == 1 else 's'} of {names} not answer at {bootstrap}: if a broker has "
            "failed, another takes over within seconds, unless __consumer_offsets has no other replica; try again",
            code,
        )
        self.groups = tuple(groups)
        self.bootstrap = bootstrap


def explain(error: BaseException, doing: str) -> RotaError:
    """The one-line form of what went wrong while ``doing`` ("create topic orders")."""
    if isinstance(error, RotaError):
        return error
    cause = error.args[0] if isinstance(error, KafkaException) and error.args else error
    if isinstance(cause, ClientError):
        text = _WORDS.get(cause.code()) or _plain(cause)
        return ClusterError(f"could not {doing}: {_one_line(text)}", cause.code())
    return RotaError(f"could not {doing}: {_one_line(str(cause) or type(cause).__name__)}")


def unreachable(bootstrap: str, errors: list[ClientError]) -> RotaError:
    """Nobody answered at ``bootstrap``; ``errors`` are what the client saw, latest last."""
    by_code = {error.code(): _one_line(error.str()) for error in errors}
    if Local.AUTHENTICATION in by_code:
        reason = _after_address(by_code[Local.AUTHENTICATION])
        return RotaError(f"{bootstrap} refused the login: {reason}; check the file given as --command-config")
    if Local.SSL in by_code or "SSL handshake" in by_code.get(Local.TRANSPORT, ""):
        text = by_code.get(Local.SSL) or by_code[Local.TRANSPORT]
        return RotaError(f"no TLS connection to {bootstrap}: {_after_address(text)}")
    if Local.RESOLVE in by_code:
        return UnreachableError(
            f"no address known for {bootstrap}: check the name given as --bootstrap-server"
        )
    alone = "," not in bootstrap or Local.ALL_BROKERS_DOWN in by_code
    if alone and "refused" in by_code.get(Local.TRANSPORT, ""):
        return UnreachableError(
            f"no broker at {bootstrap}: the connection was refused; start one with `rota broker` "
            "or name another with --bootstrap-server"
        )
    return UnreachableError(
        f"no answer from a broker at {bootstrap}; check the address, the network and, "
        "if it wants TLS or a login, --command-config"
    )


def _plain(error: ClientError) -> str:
    """The client's sentence without its "Broker: " or "Local: " prefix."""
    text: str = error.str()
    return text.removeprefix("Broker: ").removeprefix("Local: ")


def _after_address(text: str) -> str:
    """Drop the "sasl_plaintext://host:port/bootstrap: " in front and the "(after 2ms in state …)" behind."""
    head, separator, rest = text.partition("/bootstrap: ")
    return (rest if separator else head).partition(" (after ")[0]


def _one_line(text: str) -> str:
    return " ".join(text.split())
