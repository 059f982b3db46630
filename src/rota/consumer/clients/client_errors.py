"""librdkafka's errors, sorted: what passes by itself, what means that we are no member any more, what is the end."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaError, KafkaException

from rota.cluster.commands import create_topic
from rota.consumer.clients.client import CommitError
from rota.model import ErrorCode, RotaError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "CarefulLog",
    "Outage",
    "client_log",
    "commit_error",
    "guarded",
    "in_words",
    "is_final",
    "may_pass",
    "of_the_client",
]

log = logging.getLogger("rota.consumer")

# librdkafka's own codes.
_AUTHENTICATION = -169
_SSL = -181
_TIMED_OUT = -185
_ALL_BROKERS_DOWN = -187
_RESOLVE = -193
_TRANSPORT = -195
_WAIT_COORD = -180
_ASSIGNMENT_LOST = -142
_AUTO_OFFSET_RESET = -140
_FENCED = -144
_FATAL = -150
_MAX_POLL_EXCEEDED = -147
_UNKNOWN_TOPIC = -188
_UNKNOWN_PARTITION = -190
_STATE = -172

_PASSING = frozenset(
    {
        ErrorCode.REBALANCE_IN_PROGRESS,
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.REQUEST_TIMED_OUT,
        ErrorCode.UNSTABLE_OFFSET_COMMIT,
        ErrorCode.NETWORK_EXCEPTION,
        _TIMED_OUT,
        _TRANSPORT,
        _WAIT_COORD,
        _ALL_BROKERS_DOWN,
    }
)
_LOST = frozenset(
    {
        ErrorCode.ILLEGAL_GENERATION,
        ErrorCode.UNKNOWN_MEMBER_ID,
        ErrorCode.STALE_MEMBER_EPOCH,
        ErrorCode.FENCED_MEMBER_EPOCH,
        _ASSIGNMENT_LOST,
        _STATE,
    }
)
_FENCED_BY = frozenset({ErrorCode.FENCED_INSTANCE_ID, _FENCED})
_FINAL = frozenset(
    {
        ErrorCode.GROUP_AUTHORIZATION_FAILED,
        ErrorCode.TOPIC_AUTHORIZATION_FAILED,
        ErrorCode.INVALID_GROUP_ID,
        ErrorCode.OFFSET_METADATA_TOO_LARGE,
        ErrorCode.INVALID_COMMIT_OFFSET_SIZE,
    }
)
_END = frozenset(
    {
        ErrorCode.GROUP_AUTHORIZATION_FAILED,
        ErrorCode.TOPIC_AUTHORIZATION_FAILED,
        ErrorCode.INVALID_GROUP_ID,
        ErrorCode.INCONSISTENT_GROUP_PROTOCOL,
        ErrorCode.UNSUPPORTED_ASSIGNOR,
        ErrorCode.GROUP_MAX_SIZE_REACHED,
        ErrorCode.FENCED_INSTANCE_ID,
        _AUTO_OFFSET_RESET,
        _FATAL,
        _FENCED,
    }
)
_REFUSED = frozenset({_AUTHENTICATION, _SSL})
_TRIES = frozenset({_ALL_BROKERS_DOWN, _TRANSPORT, _RESOLVE, _TIMED_OUT}) | _REFUSED
"""What a client says that knows an address, and tries it in vain."""
_UNKNOWN = frozenset({ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, _UNKNOWN_TOPIC, _UNKNOWN_PARTITION})


def may_pass(error: KafkaError) -> bool:
    """Whether the same question may be answered later."""
    return error.code() in _PASSING or error.retriable()


def commit_error(error: KafkaError) -> CommitError:
    """Why a commit was not taken, and what that means."""
    code = error.code()
    return CommitError(
        error.str(), fenced=code in _FENCED_BY, lost=code in _LOST, final=code in _FINAL or error.fatal()
    )


def is_final(error: KafkaError) -> bool:
    """Whether the client will hand out nothing more."""
    return bool(error.fatal()) or error.code() in _END


def in_words(error: KafkaError, topic: str | None, bootstrap: str = "") -> str:
    """What the client hands out instead of a record, for a person."""
    code, text = error.code(), " ".join(error.str().split())
    if code in _UNKNOWN:
        return (
            f"the topic {topic} does not exist (any more); it is read as soon as it does: "
            f"`{create_topic(str(topic), bootstrap)}` makes it"
        )
    if code == _AUTO_OFFSET_RESET:
        return (
            f"a partition of {topic} has no record where the group would begin, and auto.offset.reset=error: commit "
            f"an offset for it, or set earliest or latest ({text})"
        )
    if code == _MAX_POLL_EXCEEDED:
        return "the group has put this member out: it did not poll for max.poll.interval.ms; it joins again"
    if code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL:
        return (
            "the members of this group have no partition.assignment.strategy in common: Rota's default is "
            "cooperative-sticky; set the one that the others have"
        )
    if code in _FENCED_BY or (code == _FATAL and "group.instance.id" in text):
        return (
            "another member has this group.instance.id now, and only one can: give each a name of its own "
            f"({text.removeprefix('Fatal error: ').partition(': Fatal')[0].removeprefix('Broker: ')})"
        )
    return f"the client says: {text}"


def of_the_client(error: BaseException) -> RotaError | None:
    """What the client has raised, as one line; None if it was somebody else."""
    if not isinstance(error, KafkaException):
        return None
    cause = error.args[0]
    words = in_words(cause, None) if isinstance(cause, KafkaError) else f"the client says: {cause}"
    told = RotaError(words)
    told.__cause__ = error
    return told


def client_log() -> logging.Logger:
    """For librdkafka. What it says of brokers that are away, over and over, and of errors that it hands out, Rota
    says once and in words: it is in the log only at the level of DEBUG.
    """
    logger = logging.getLogger("rota.consumer.client")
    if not any(isinstance(each, _ToldInWords) for each in logger.filters):
        logger.addFilter(_ToldInWords())
    return logger


class CarefulLog:
    """So much of a logger as the client calls. What the application's log handlers raise is let go: the client would
    raise it in the middle of its work.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def log(self, level: int, *said: object) -> None:
        with contextlib.suppress(Exception):
            self._logger.log(level, *said)


class _ToldInWords(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        told = record.getMessage().startswith(("FAIL ", "ERROR ", "FATAL ", "MAXPOLL "))
        return not told or logging.getLogger(record.name).isEnabledFor(logging.DEBUG)


def guarded(name: str, callback: Callable[..., object]) -> Callable[..., object]:
    """An application's callback: what it raises is logged, and neither ends the consumer nor takes records along
    that the client has in its hands. Raises TypeError for what is no function.
    """
    if not callable(callback):
        raise TypeError(f"{name} is {callback!r}; it must be a function")

    def call(*args: Any) -> object:
        try:
            return callback(*args)
        except Exception:
            log.exception("%s of the configuration raised", name)
            return None

    return call


class Outage:
    """The client's ``error_cb``: tells once that no broker answers, and once that one does again. The client
    itself goes on trying. ``other``: the application's own callback.
    """

    def __init__(self, bootstrap: str, other: Callable[[Any], object] | None = None) -> None:
        self.on = False
        self.complaints = 0
        """How often the client has said that it tries to reach a broker, and does not, or is refused."""
        self._bootstrap = bootstrap
        self._other = guarded("error_cb", other) if other is not None else None
        self._last = ""
        self._told: set[int] = set()

    def __call__(self, error: KafkaError) -> None:
        code, text = error.code(), " ".join(error.str().split())
        self.complaints += code in _TRIES
        if code == _ALL_BROKERS_DOWN:
            if not self.on:
                log.warning(
                    "waiting: no broker of %s answers%s; going on as soon as one does",
                    self._bootstrap,
                    self._last,
                )
            self.on = True
        elif code in (_TRANSPORT, _RESOLVE):
            self._last = f" ({_after_address(text).rpartition(' failed: ')[2]})"
        elif code not in self._told:
            self._told.add(code)
            refused = code in _REFUSED
            what = f"{self._bootstrap} refused the connection: " if refused else "the client says: "
            log.error("%s%s", what, _after_address(text) if refused else text)
        if self._other is not None:
            self._other(error)

    def over(self) -> None:
        """Something got through."""
        if self.on:
            log.warning("going on: %s answers again", self._bootstrap)
        self.on = False
        self._last = ""
        self._told.clear()


def _after_address(text: str) -> str:
    """Without the "sasl_plaintext://host:port/bootstrap: " in front and the "(after 2ms in state …)" behind."""
    head, separator, rest = text.partition("/bootstrap: ")
    return (rest if separator else head).partition(" (after ")[0]
