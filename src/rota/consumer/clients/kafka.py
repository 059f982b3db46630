"""A group member on confluent-kafka (librdkafka)."""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as ClientPartition

from rota.consumer.clients.client import CommitError, Offset
from rota.consumer.clients.client_errors import (
    CarefulLog,
    Outage,
    commit_error,
    guarded,
    in_words,
    is_final,
    may_pass,
)
from rota.consumer.clients.inquiry import Inquiry
from rota.consumer.settings import refused
from rota.model import RotaError, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rota.consumer.clients.client import Message, Rebalance

    _Answer = Callable[[CommitError | None, Mapping[TopicPartition, str]], None]

__all__ = ["KafkaClient", "is_cooperative"]

log = logging.getLogger("rota.consumer")

_CALLED_BACK = ("stats_cb", "throttle_cb")
"""An application's callbacks besides ``error_cb``. Of what ``oauth_cb`` raises the client makes an error by itself."""

_COMMITTED_TIMEOUT_S = 10.0
_COMMIT_S = 10.0
_GONE_S = 2.0
"""So long a last commit, or the goodbye, is tried: as a rule, and while no broker answers."""
_COMMITTED_ATTEMPTS = 2
_SURE_ATTEMPTS = 12
_END_S = 6.0
"""librdkafka waits 5 s for the answer to a goodbye."""


class KafkaClient:
    """See `rota.consumer.clients.client.Client`. ``config``: confluent-kafka's own names. Raises RotaError if the
    client does not take it.

    What a callback raises is raised again by the call that called back, whatever confluent-kafka makes of it.
    ``exactly_once``: begin nowhere without knowing what is committed.
    """

    def __init__(
        self, config: Mapping[str, Any], logger: logging.Logger, *, exactly_once: bool = False
    ) -> None:
        self._exactly_once = exactly_once
        self._topics: Sequence[str] = ()
        self._answers: list[_Answer] = []
        self._answered: list[Callable[[], None]] = []
        self._rebalance: Rebalance | None = None
        self._raised: BaseException | None = None
        self._deaf = False
        self._joined = False
        """Whether an assignment has come and was not lost since."""
        self._stuck = False
        self._called_back = False
        self._withdrawn: set[tuple[str | None, int]] = set()
        self._former: set[TopicPartition] = set()
        self._doubted: dict[TopicPartition, int | None] = {}
        """Partitions that are ours again, and the position that was first seen of each."""
        self._incremental = is_cooperative(config)
        self._modern = str(config.get("group.protocol", "")).lower() == "consumer"
        self._bootstrap = str(config.get("bootstrap.servers", ""))
        try:
            self._outage = Outage(self._bootstrap, config.get("error_cb"))
            self._inquiry = Inquiry(config, self._outage)
            self._theirs = {name: guarded(name, config[name]) for name in _CALLED_BACK if name in config}
            self._config = dict(config)
            self._careful: Any = CarefulLog(logger)
            self._consumer = self._new_consumer()
        except KafkaException as error:
            raise refused(error.args[0].str()) from error
        except (TypeError, ValueError) as error:
            raise refused(str(error)) from error

    def _new_consumer(self) -> Consumer:
        """What one calls back that has been replaced is not heard."""
        former = self._answers
        answers: list[_Answer] = []

        def only_ours(callback: Callable[..., object]) -> Callable[..., object]:
            return lambda *news: callback(*news) if answers is self._answers else None

        ours: dict[str, Callable[..., object]] = {"on_commit": self._on_commit, "error_cb": self._outage}
        callbacks = {name: only_ours(callback) for name, callback in {**ours, **self._theirs}.items()}
        self._answers = answers
        try:
            return Consumer({**self._config, **callbacks}, logger=self._careful)
        except BaseException:
            self._answers = former
            raise

    def subscribe(self, topics: Sequence[str], rebalance: Rebalance) -> None:
        self._rebalance = rebalance
        self._topics = topics
        try:
            self._consumer.subscribe(
                list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )
        except KafkaException as error:
            patterns = [topic for topic in topics if topic.startswith("^")]
            which = f"the pattern {' or '.join(patterns)}" if patterns else ", ".join(topics)
            raise RotaError(f"the client cannot subscribe to {which}: {error.args[0].str()}") from error

    def consume(self, most: int, timeout_s: float) -> Sequence[Message]:
        # consume() with a timeout waits for `most` records; a single poll() returns with the first.
        found: list[Any] = self._consumer.consume(most, 0)
        if not found and timeout_s and self._raised is None:
            first: Any = self._consumer.poll(timeout_s)
            if first is not None:
                found = [first]
                if most > 1 and self._raised is None:
                    self._withdrawn.clear()
                    more = self._consumer.consume(most - 1, 0)
                    # One that goes while its record is in our hands may come back before we have the rest, and
                    # then hands it out again.
                    gone = (first.topic(), first.partition()) in self._withdrawn
                    found = more if gone else [first, *more]
        if found:
            self._inquiry.heard()
        elif self._raised is None and self._inquiry.is_due():
            self._ask()  # now that the client has said everything that it had to say
        if self._raised is not None:
            self._raise()
        while self._answered:
            self._answered.pop(0)()
        return found

    def problem(self, message: Message) -> tuple[str, bool]:
        error: Any = message.error()
        return in_words(error, message.topic(), self._bootstrap), is_final(error)

    def committed(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Offset | None]:
        asked = [ClientPartition(*partition) for partition in partitions]
        found: dict[TopicPartition, Offset | None] = {}
        for answer in self._committed(asked):
            known = answer.error is None and answer.offset >= 0
            found[_named(answer)] = Offset(answer.offset, answer.metadata or "") if known else None
        return found

    def _committed(self, asked: list[ClientPartition]) -> Iterable[ClientPartition]:
        """A coordinator that moves just now gets a second chance. After that nothing is known: the client asks
        again by itself before it fetches, and only what was done beyond the committed offsets is repeated. Where
        nothing may be repeated it must know: a transaction of the last owner may have to end first.
        """
        most = _SURE_ATTEMPTS if self._exactly_once else _COMMITTED_ATTEMPTS
        for attempt in range(1, most + 1):
            try:
                answers = self._consumer.committed(asked, timeout=_COMMITTED_TIMEOUT_S)
            except KafkaException as error:
                if not may_pass(error.args[0]) or (self._exactly_once and attempt == most):
                    raise
                continue
            unsure = [item.error for item in answers if item.error is not None and may_pass(item.error)]
            if not (unsure and self._exactly_once):
                return answers
            if attempt == most:
                raise KafkaException(unsure[0])
        return ()

    def start(self, starts: Mapping[TopicPartition, int | None]) -> None:
        wanted = [
            ClientPartition(*partition) if offset is None else ClientPartition(*partition, offset)
            for partition, offset in starts.items()
        ]
        self._doubted.update(dict.fromkeys(self._former.intersection(starts)))
        if self._incremental:
            self._consumer.incremental_assign(wanted)
        else:
            self._consumer.assign(wanted)

    def positions(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        found = self._consumer.position([ClientPartition(*partition) for partition in partitions])
        known = {_named(item): item.offset for item in found if item.offset >= 0}
        for partition in self._doubted.keys() & known.keys():
            # A partition that goes while records of it are handed out may keep its position until it comes back:
            # then what others have yet to do would count as read. What moves is of now.
            before = self._doubted[partition]
            if before is None or before == known[partition]:
                self._doubted[partition] = known.pop(partition)
            else:
                del self._doubted[partition]
        return known

    def ends(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The offsets behind the last records, as the last answers to fetches said; asks nobody."""
        found = {}
        for partition in partitions:
            known = self._consumer.get_watermark_offsets(ClientPartition(*partition), cached=True)
            if known is not None and known[1] >= 0:
                found[partition] = known[1]
        return found

    def commit(self, offsets: Mapping[TopicPartition, Offset]) -> Mapping[TopicPartition, str]:
        answers: list[ClientPartition] = []

        def commit() -> None:
            answers.extend(self._consumer.commit(offsets=_wire(offsets), asynchronous=False) or ())

        try:
            if self._called_back:
                commit()  # from another thread the client lets no call through now
            elif not self._bounded(commit, _GONE_S if self._outage.on else _COMMIT_S):
                self._stuck = True
                raise CommitError("nobody answered; no broker has the group at the moment", final=True)
        except KafkaException as error:
            raise commit_error(error.args[0]) from error
        return _refused(answers)

    def commit_soon(
        self,
        offsets: Mapping[TopicPartition, Offset],
        answered: Callable[[CommitError | None, Mapping[TopicPartition, str]], None],
    ) -> None:
        self._answers.append(answered)
        try:
            self._consumer.commit(offsets=_wire(offsets), asynchronous=True)
        except KafkaException as error:  # not even sent
            self._answers.remove(answered)
            problem = commit_error(error.args[0])
            self._answered.append(lambda: answered(problem, {}))

    def group_metadata(self) -> Any:
        return self._consumer.consumer_group_metadata()

    def joined(self) -> bool:
        """Whether it is known what is ours, be it nothing, and it was not lost since. In a group of KIP-848 nobody is
        told of nothing: there the member's epoch says it.
        """
        return self._joined or (self._modern and _epoch(self.group_metadata()) > 0)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        self._consumer.pause([ClientPartition(*partition) for partition in partitions])

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        self._consumer.resume([ClientPartition(*partition) for partition in partitions])

    def _ask(self) -> None:
        if self._inquiry.has_forgotten(self._consumer, self._topics):
            self._begin_anew()

    def _begin_anew(self) -> None:
        former, unanswered = self._consumer, self._answers
        try:
            made = self._new_consumer()
        except (KafkaException, ValueError) as error:
            log.warning("no other client can be made now: %s", error)
            return
        if held := former.assignment():
            self._on_lost(former, held)
        self._consumer = made
        self._joined = False
        for answered in unanswered:
            self._tell(answered, CommitError("its client did not find the brokers any more", lost=True), {})
        try:
            ended = self._bounded(former.close, _END_S)
        except (KafkaException, RuntimeError) as error:
            log.warning("the client that was replaced did not end as it should: %s", error)
        else:
            if not ended:
                log.warning("the client that was replaced has not ended yet; it is left behind")
        assert self._rebalance is not None
        self.subscribe(self._topics, self._rebalance)

    def close(self) -> None:
        # Whoever closes has committed what could be. After an error nobody knows what was done, and a rebalance
        # on the way out must not commit.
        self._deaf = True
        if self._stuck or (self._outage.on and not self._bounded(self._consumer.close, _GONE_S)):
            log.warning("left without a goodbye: the group will notice when this member's session ends")
        elif not self._outage.on:
            self._consumer.close()

    def _bounded(self, call: Callable[[], None], patience_s: float) -> bool:
        """librdkafka waits for a coordinator as long as the session lasts, and cannot be interrupted. A call that
        is given up goes on until the process ends, and lets no other one through. False: it was given up.
        """
        raised: list[BaseException] = []

        def run() -> None:
            try:
                call()
            except BaseException as error:
                raised.append(error)

        thread = threading.Thread(target=run, name="rota-client-call", daemon=True)
        thread.start()
        thread.join(patience_s)
        if raised:
            raise raised[0]
        return not thread.is_alive()

    # Called back by librdkafka, inside consume, poll and close.

    def _on_assign(self, consumer: Consumer, partitions: list[ClientPartition]) -> None:
        if consumer is not self._consumer:
            return  # another one has taken its place
        assert self._rebalance is not None
        self._joined = True
        self._inquiry.heard()
        self._outage.over()
        self._guarded(self._rebalance.assigned, partitions)

    def _on_revoke(self, consumer: Consumer, partitions: list[ClientPartition]) -> None:
        if consumer is not self._consumer:
            return  # another one has taken its place
        assert self._rebalance is not None
        self._went(partitions)
        self._guarded(self._rebalance.revoked, partitions)

    def _on_lost(self, consumer: Consumer, partitions: list[ClientPartition]) -> None:
        if consumer is not self._consumer:
            return  # another one has taken its place
        assert self._rebalance is not None
        self._joined = False
        self._went(partitions)
        self._guarded(self._rebalance.lost, partitions)

    def _went(self, partitions: list[ClientPartition]) -> None:
        gone = set(map(_named, partitions))
        self._withdrawn |= gone
        self._former |= gone
        for partition in gone:
            self._doubted.pop(partition, None)

    def _guarded(
        self, tell: Callable[[Sequence[TopicPartition]], None], partitions: list[ClientPartition]
    ) -> None:
        if self._deaf:
            return
        self._called_back = True
        try:
            tell([_named(partition) for partition in partitions])
        except BaseException as error:
            self._raised = self._raised or error
        finally:
            self._called_back = False

    def _on_commit(self, error: KafkaError | None, partitions: list[ClientPartition]) -> None:
        if self._deaf or not self._answers:
            return  # not waited for, or the answer to one that was
        if error is None:
            self._inquiry.heard()
            self._outage.over()
        problem = None if error is None else commit_error(error)
        self._tell(self._answers.pop(0), problem, _refused(partitions))

    def _tell(
        self, answered: _Answer, problem: CommitError | None, refused: Mapping[TopicPartition, str]
    ) -> None:
        try:
            answered(problem, refused)
        except BaseException as raised:
            self._raised = self._raised or raised

    def _raise(self) -> None:
        assert self._raised is not None
        self._deaf = True
        raise self._raised


def is_cooperative(config: Mapping[str, Any]) -> bool:
    """Whether partitions come and go one by one (librdkafka allows no mixture of both kinds of strategies)."""
    strategies = str(config.get("partition.assignment.strategy", ""))
    return "cooperative" in strategies or str(config.get("group.protocol", "")).lower() == "consumer"


def _epoch(group_metadata: bytes) -> int:
    """librdkafka's own format: that of the second version begins like this."""
    name, colon, rest = group_metadata.partition(b":")
    return int.from_bytes(rest[:4], sys.byteorder, signed=True) if name + colon == b"CGMDv2:" else 0


def _named(partition: ClientPartition) -> TopicPartition:
    return TopicPartition(partition.topic, partition.partition)


def _wire(offsets: Mapping[TopicPartition, Offset]) -> list[ClientPartition]:
    return [
        ClientPartition(*partition, offset, metadata) if metadata else ClientPartition(*partition, offset)
        for partition, (offset, metadata) in offsets.items()
    ]


def _refused(answers: Iterable[ClientPartition]) -> dict[TopicPartition, str]:
    return {_named(item): item.error.str() for item in answers if item.error is not None}
