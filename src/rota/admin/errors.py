"""What may go wrong with a question to a cluster, said to a person: what, where, and what to do."""

from __future__ import annotations

from rota.model import RETRIABLE, ErrorCode, KafkaError, RotaError

__all__ = [
    "AdminError",
    "ConnectionFailedError",
    "UnreachableError",
    "error_of",
    "is_moving",
    "no_answer",
    "refusal",
    "unreachable",
]

_WORDS = {
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: "it does not exist (`rota topics list` shows those that do)",
    ErrorCode.UNKNOWN_TOPIC_ID: "it does not exist any more (`rota topics list` shows those that do)",
    ErrorCode.GROUP_ID_NOT_FOUND: "it does not exist (`rota groups list` shows those that do)",
    ErrorCode.TOPIC_AUTHORIZATION_FAILED: "this user may not do that to the topic",
    ErrorCode.GROUP_AUTHORIZATION_FAILED: "this user may not do that to the group",
    ErrorCode.CLUSTER_AUTHORIZATION_FAILED: "this user may not do that to the cluster",
    ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "this user may not do that to the transactional id",
    ErrorCode.NON_EMPTY_GROUP: "it has members; stop them first",
    ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC: "the group's members subscribe to the topic; stop them first",
    ErrorCode.LEADER_NOT_AVAILABLE: "it has no leader: start a broker that holds a replica of it",
    ErrorCode.UNKNOWN_MEMBER_ID: "there is no such member, or no longer",
    ErrorCode.OFFSET_OUT_OF_RANGE: "there is no such offset in the log",
    ErrorCode.UNSUPPORTED_VERSION: "the broker is too old for that",
}

_MOVING = frozenset(
    {
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.REPLICA_NOT_AVAILABLE,
        ErrorCode.KAFKA_STORAGE_ERROR,
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.UNKNOWN_LEADER_EPOCH,
        ErrorCode.OFFSET_NOT_AVAILABLE,
        ErrorCode.REQUEST_TIMED_OUT,
        ErrorCode.NETWORK_EXCEPTION,
    }
)
assert _MOVING <= RETRIABLE


class AdminError(RotaError):
    """What a cluster would not do or say; ``code`` is Kafka's error code."""

    def __init__(self, message: str, code: ErrorCode) -> None:
        super().__init__(message, exit_code=2 if code == ErrorCode.INVALID_TOPIC_EXCEPTION else 1)
        self.code = code


class UnreachableError(RotaError):
    """Nobody answers there; somebody may, later."""


class ConnectionFailedError(Exception):
    """One connection could not be made or has ended; ``words`` say why, ``hopeless`` that trying again is no use."""

    def __init__(self, words: str, *, hopeless: bool = False, refused: bool = False) -> None:
        super().__init__(words)
        self.words = words
        self.hopeless = hopeless
        self.refused = refused


def error_of(code: int, message: str | None = None) -> KafkaError | None:
    """An answer's error code; None for no error."""
    if not code:
        return None
    try:
        return KafkaError(ErrorCode(code), message)
    except ValueError:
        return KafkaError(
            ErrorCode.UNKNOWN_SERVER_ERROR, message or f"error {code}, which this Rota does not know"
        )


def is_moving(answer: object) -> bool:
    """Whether the broker that was asked is away, or is not, or not yet, the one to ask: then somebody else may be."""
    if isinstance(answer, ConnectionFailedError):
        return not answer.hopeless
    return isinstance(answer, KafkaError) and answer.code in _MOVING


def refusal(error: KafkaError | ConnectionFailedError, doing: str) -> RotaError:
    """The one-line form of what kept somebody from ``doing`` ("describe group orders")."""
    if isinstance(error, ConnectionFailedError):
        return UnreachableError(f"could not {doing}: {error.words}")
    ours = "" if error.code == ErrorCode.UNSUPPORTED_VERSION and error.message else _WORDS.get(error.code)
    words = ours or " ".join((error.message or _plain(error.code)).split())
    return AdminError(f"could not {doing}: {words}", error.code)


def no_answer(doing: str, timeout_s: float, why: KafkaError | ConnectionFailedError | None) -> RotaError:
    """The time is over; ``why`` is what the last attempt met, if any has ended."""
    code = why.code if isinstance(why, KafkaError) else ErrorCode.REQUEST_TIMED_OUT
    if isinstance(why, ConnectionFailedError):
        words = f"{why.words}; if a broker has failed, another takes over within seconds: try again"
    elif why is not None:
        words = f"{_WORDS.get(code) or _plain(code)} (after {timeout_s:g} s)"
    else:
        words = f"no answer within {timeout_s:g} s"
    return AdminError(f"could not {doing}: {words}", code)


def unreachable(bootstrap: str, failures: list[ConnectionFailedError]) -> RotaError:
    """Nobody answered at ``bootstrap``; ``failures`` are what was met there, latest last."""
    for failure in failures:
        if failure.hopeless:
            return RotaError(failure.words)
    if failures and all(failure.refused for failure in failures):
        return UnreachableError(
            f"no broker at {bootstrap}: the connection was refused; start one with `rota broker` "
            "or name another with --bootstrap-server"
        )
    because = f" ({failures[-1].words})" if failures else ""
    return UnreachableError(
        f"no answer from a broker at {bootstrap}{because}; check the address, the network and, "
        "if it wants TLS or a login, --command-config"
    )


def _plain(code: ErrorCode) -> str:
    """``NOT_COORDINATOR`` as ``not coordinator``."""
    return code.name.lower().replace("_", " ")
