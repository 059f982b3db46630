"""The connection under ``Cluster``: clients that log nowhere, and how long an answer is waited for.

A cluster goes on when one of its brokers fails, and so should a question to it. Three things help librdkafka with that:
a first contact that any broker may answer, a look at who is there while it waits for one that is not, and attempts:
a question whose broker is away is asked again until another has taken over.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka import KafkaError as ClientError
from confluent_kafka.admin import AdminClient

from rota.client_properties import client_properties, nearest
from rota.cluster.errors import ClusterError, Local, explain, unreachable
from rota.model import ErrorCode, RotaError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from concurrent.futures import Future

__all__ = ["NEVER_S", "SEE_AGAIN_S", "Connection", "is_moving"]

REFUSED_GRACE_S = 1.5
"""How long a refused connection is tried again: a broker that is just starting gets this much time."""

GRACE_S = 15.0
"""How long a question is repeated whose broker has just failed; Kafka gives its work to others after nine seconds."""

FIRST_ATTEMPT_S = 2.0
SEE_AGAIN_S = 0.05
LONGEST_REST_S = 0.5

NEVER_S = 600.0
"""The time given to questions to a coordinator, longer than anybody waits for one. librdkafka ends the whole process
with a failed assertion when a coordinator appears after such a question's time is over; so we stop waiting before, and
give the client up.
"""

LOOK_ROUND_AFTER_S = 1.0
LOOK_ROUND_FOR_S = 1.0

_DEFAULTS: Final = {"reconnect.backoff.max.ms": "1000"}
"""As Java's clients have it; librdkafka's ten seconds would be most of our patience."""

_ADDRESS = re.compile(r"(\w+://)?(\[[0-9a-fA-F:.]+\]|[^\s:/,\[\]]+)(:(?P<port>\d{1,5}))?")

_HOPELESS = frozenset({Local.AUTHENTICATION, Local.SSL, Local.RESOLVE})

_MOVING = frozenset(
    {
        ClientError.COORDINATOR_LOAD_IN_PROGRESS,
        ClientError.COORDINATOR_NOT_AVAILABLE,
        ClientError.NOT_COORDINATOR,
        ClientError.NOT_LEADER_FOR_PARTITION,
        ClientError.FENCED_LEADER_EPOCH,
        ClientError.UNKNOWN_LEADER_EPOCH,
        ErrorCode.OFFSET_NOT_AVAILABLE,  # a new leader does not know yet how far the old one was
        Local.TIMED_OUT,
        Local.TRANSPORT,
    }
)

_T = TypeVar("_T")

_quiet = logging.getLogger("rota.librdkafka")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


class _Admin(AdminClient):
    """One that ends in a thread that nobody waits for: librdkafka may wait for ever for the end of its own threads once
    a broker has gone that was asked.
    """

    def __del__(self) -> None:
        if sys.is_finalizing():  # a thread that begins now never runs
            return
        last = [self]
        end = threading.Timer(1.0, last.clear)  # by then nobody else has it
        end.daemon = True
        with suppress(RuntimeError):
            end.start()


class Connection:
    """Making one connects to nothing; the first question does. What goes wrong is a ``RotaError``."""

    def __init__(self, bootstrap: str, properties: Mapping[str, str], timeout_s: float) -> None:
        if not all(map(_is_address, bootstrap.split(","))):
            raise RotaError(f"{bootstrap!r} is no broker's address: expected HOST:PORT[,…]", exit_code=2)
        self.bootstrap = bootstrap
        self.timeout_s = timeout_s
        self._properties = client_properties(properties)
        self._admin: AdminClient | None = None
        self._seen: list[ClientError] = []

    # Clients for those who read and write records

    def producer(self, properties: Mapping[str, Any]) -> Producer:
        """A producer to this cluster whose log goes nowhere; ``properties`` win over the cluster's own."""
        return self._client(lambda config: Producer(config, logger=_quiet), properties)

    def consumer(self, properties: Mapping[str, Any]) -> Consumer:
        """A consumer to this cluster whose log goes nowhere; ``properties`` win over the cluster's own."""
        return self._client(lambda config: Consumer(config, logger=_quiet), properties)

    def setting(self, name: str) -> str | None:
        """A client property that was given for all clients of this cluster, under librdkafka's name."""
        return self._properties.get(name)

    @property
    def admin(self) -> AdminClient:
        """The connected admin client, for the few who need what is not offered here."""
        if self._admin is None:
            admin = self._client(
                lambda config: _Admin(config, logger=_quiet), {"error_cb": self._seen.append}
            )
            self._connect(admin)
            self._admin = admin
        return self._admin

    def close(self) -> None:
        """Let go of the connections."""
        self._admin = None

    # Asking

    def _attempts(self) -> Iterator[float]:
        """How long each attempt may take, in seconds, with a rest between; at least one, none after the grace.

        A client whose question has failed is given up: librdkafka keeps the coordinator that it has found and waits for
        it even when the cluster has long given up that broker.
        """
        deadline = time.monotonic() + min(GRACE_S, 1.5 * self.timeout_s)
        attempt_s, rest_s = min(FIRST_ATTEMPT_S, self.timeout_s), SEE_AGAIN_S
        while True:
            yield attempt_s
            self.close()
            left = deadline - time.monotonic()
            if left <= 0:
                return
            attempt_s = max(SEE_AGAIN_S, min(attempt_s * 1.5, self.timeout_s, left))
            time.sleep(rest_s)
            rest_s = min(rest_s * 2, LONGEST_REST_S)

    def _wait(self, future: Future[Any], doing: str, seconds: float | None = None) -> Any:
        try:
            return self._result(future, seconds)
        except (KafkaException, ValueError, TypeError) as error:
            raise explain(error, doing) from None

    def _try(self, future: Future[Any], doing: str, seconds: float | None = None) -> Any:
        """The answer, or the ``RotaError`` itself."""
        try:
            return self._wait(future, doing, seconds)
        except RotaError as error:
            error.__context__ = None  # its frames would keep a client alive that was given up
            return error.with_traceback(None)

    def _failure(self, future: Future[Any], doing: str) -> RotaError | None:
        answer = self._try(future, doing)
        return answer if isinstance(answer, RotaError) else None

    def _result(self, future: Future[Any], seconds: float | None = None) -> Any:
        """The answer, in so many seconds. While it does not come, look now and then who is there.

        Many questions go to the broker that was named as the controller, in KRaft any that was thought alive. Has it
        just failed, librdkafka waits for it, and learns of another only from an answer with the brokers in it.
        """
        deadline = time.monotonic() + (self.timeout_s + 2 if seconds is None else seconds)
        wait_s = LOOK_ROUND_AFTER_S
        while (left := deadline - time.monotonic()) > 0:
            try:
                return future.result(min(wait_s, left))
            except FutureTimeoutError:
                self._look_round()
                wait_s *= 2
        raise KafkaException(ClientError(Local.TIMED_OUT))

    def _look_round(self) -> None:
        admin = self._admin
        if admin is not None:
            _look_round(admin)

    # Connecting

    def _client(self, make: Callable[[dict[str, Any]], _T], properties: Mapping[str, Any]) -> _T:
        with _property_errors():
            return make({**_DEFAULTS, **self._properties, "bootstrap.servers": self.bootstrap, **properties})

    def _connect(self, admin: AdminClient) -> None:
        """Wait for one broker's answer; what cannot get better by waiting is said at once."""
        started = time.monotonic()
        look_s = LOOK_ROUND_AFTER_S
        future = admin.describe_cluster(request_timeout=self.timeout_s)
        while not future.done():
            admin.poll(0.02)
            waited = time.monotonic() - started
            codes = {error.code() for error in self._seen}
            refused = Local.ALL_BROKERS_DOWN in codes and waited > REFUSED_GRACE_S
            if refused or waited > self.timeout_s or codes & _HOPELESS:
                raise unreachable(self.bootstrap, self._seen)
            if waited > look_s:
                if _look_round(admin):
                    break
                look_s = waited + LOOK_ROUND_AFTER_S
        if future.done() and future.exception() is not None:
            admin.poll(0)
            raise unreachable(self.bootstrap, self._seen)
        self._seen.clear()


def is_moving(answer: object) -> bool:
    """Whether it is an error because the broker that was asked is away, or is not, or not yet, the one to ask."""
    return isinstance(answer, ClusterError) and answer.code in _MOVING


def _look_round(admin: AdminClient) -> bool:
    """Have any broker say which brokers there are; whether one did."""
    with suppress(KafkaException):
        return bool(admin.list_topics(timeout=LOOK_ROUND_FOR_S).brokers)
    return False


def _is_address(text: str) -> bool:
    found = _ADDRESS.fullmatch(text.strip())
    return found is not None and (found["port"] is None or 1 <= int(found["port"]) <= 65535)


@contextmanager
def _property_errors() -> Iterator[None]:
    """A property that librdkafka refuses is the user's to put right."""
    try:
        yield
    except KafkaException as error:
        text = " ".join(str(error.args[0].str()).split())
        if text.startswith("No such configuration property"):
            name = text.split('"')[1]
            raise RotaError(f"unknown client property {name}{nearest(name)}", exit_code=2) from None
        raise RotaError(f"client property: {text}", exit_code=2) from None
