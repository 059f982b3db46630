"""The attack: many hostile connections at once, a good client beside them, and a broker that must not mind.

What counts as a finding: the process ends; the good client is not answered within ``ANSWER_BOUND_S``, or wrongly;
memory goes beyond ``MEMORY_BOUND_MB``; the log tells of a bug of ours; an answer is no valid frame, answers nothing, or
cannot be read; after a restart (every other one by kill -9) topics, logs or committed offsets are not as they were, or
the log tells of an error.
"""

from __future__ import annotations

import random
import select
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.corpus import load
from tests.fuzz.findings import Findings
from tests.fuzz.good_client import GoodClient
from tests.fuzz.inputs import Input, Inputs
from tests.fuzz.peer import BadAnswerError, Peer
from tests.fuzz.target import Target

__all__ = ["ANSWER_BOUND_S", "MEMORY_BOUND_MB", "Fuzzer"]

ANSWER_BOUND_S = 15.0
MEMORY_BOUND_MB = 768
_PEERS = 40
_IN_FLIGHT = 3
_IMPATIENCE = 0.02
_REMEMBERED_PEERS = 2000
_SLOW_S = 2.0
_LOOK_EVERY_S = 0.5
_RESTART_EVERY = 25_000
_ANEW_EVERY = 6
_GRACE_S = 120.0


class Fuzzer:
    """``say`` is told how it goes."""

    def __init__(self, directory: Path, cases: Path, seed: int, say: Callable[[str], None]) -> None:
        self.findings = Findings(cases)
        self.sent: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.restarts = 0
        self.peak_mb = 0.0
        self.slowest_s = 0.0
        self.good_answers = 0
        self.slow: Counter[str] = Counter()  # where the broker was when the good client waited
        self._say = say
        self._source = random.Random(seed)
        self._inputs = Inputs(load(), self._source)
        self._target = Target(directory)
        self._peers: dict[int, Peer] = {}
        self._past: dict[str, Peer] = {}  # who has sent what, by address, for the log to name
        self._poll = select.epoll()
        self._good: GoodClient | None = None

    @property
    def inputs(self) -> int:
        return self.sent.total()

    def run(self, *, inputs: int | None = None, seconds: float | None = None) -> None:
        """Attack for so many inputs, or so long, and take everything apart."""
        until = None if seconds is None else time.monotonic() + seconds
        try:
            self._begin()
            restart_at, look_at = _RESTART_EVERY, 0.0
            while (inputs is None or self.inputs < inputs) and (until is None or time.monotonic() < until):
                self._turn()
                if time.monotonic() >= look_at:
                    self._look()
                    look_at = time.monotonic() + _LOOK_EVERY_S
                if self.inputs >= restart_at:
                    self._restart()
                    restart_at = self.inputs + _RESTART_EVERY
            self._restart()
        finally:
            self._drop_everybody()
            self._target.broker.stop()
            self._poll.close()

    # --- attacking ------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        source = self._source
        while len(self._peers) < _PEERS:
            if not self._connect():
                return
        busy = True
        for peer in source.sample(list(self._peers.values()), 10):
            if peer.is_done:
                if not peer.unanswered or source.random() < _IMPATIENCE:
                    self._end(peer)
            elif peer.has_room and (peer.unanswered < _IN_FLIGHT or source.random() < _IMPATIENCE):
                busy = False
                each = self._harmless()
                self.sent[each.how] += 1
                if not peer.send(each):
                    self._end(peer)
            elif not peer.go_on() or source.random() < _IMPATIENCE:  # a parked peer may have to wait for ever
                self._end(peer)
        for fd, _ in self._poll.poll(0.002 if busy else 0):
            self._receive(self._peers[fd])

    def _harmless(self) -> Input:
        """The next input that does not change what the broker is set to: what that does is no finding."""
        while True:
            each = self._inputs.next()
            if each.asked is None or each.asked.key not in {33, 44}:
                return each
            if b"fuzz-" in each.data:  # configs of topics
                return each

    def _connect(self) -> bool:
        host, _, port = self._target.broker.bootstrap_servers.rpartition(":")
        try:
            peer = Peer((host, int(port)), self._source, self._source.choice((1, 3, 10, 30)))
        except OSError as error:
            if self._target.is_alive:
                self._found("no connection", str(error), str(error))
            self._look()
            return False
        self._peers[peer.fd] = peer
        self._past[peer.name] = peer
        if len(self._past) > _REMEMBERED_PEERS:
            del self._past[next(iter(self._past))]
        self._poll.register(peer.fd, select.EPOLLIN)
        return True

    def _receive(self, peer: Peer) -> None:
        try:
            answers = peer.receive()
        except BadAnswerError as error:
            self._found(
                "bad answer",
                str(error).translate({ord(digit): "9" for digit in "012345678"}),
                str(error),
                peer,
            )
            self._end(peer)
            return
        if answers is None:
            self._end(peer)
            return
        for answer in answers:
            self.answers[type(answer).__name__] += 1
            if type(answer).__name__ not in {"MetadataResponse", "ApiVersionsResponse"}:
                self._inputs.known.learn(answer)

    def _end(self, peer: Peer) -> None:
        if self._peers.pop(peer.fd, None) is not None:
            self._poll.unregister(peer.fd)
            peer.close(reset=self._source.random() < 0.7)

    def _drop_everybody(self) -> None:
        for peer in list(self._peers.values()):
            self._end(peer)

    # --- watching -------------------------------------------------------------------------------------------

    def _look(self) -> None:
        if not self._target.is_alive:
            self._found("ended", "the broker's process has ended", self._tail())
            self._begin()
            return
        self._read_log()
        _, peak = self._target.resident_mb()
        if peak > MEMORY_BOUND_MB >= self.peak_mb:
            self._found("memory", f"more than {MEMORY_BOUND_MB} MB", f"{peak:.0f} MB")
        self.peak_mb = max(self.peak_mb, peak)
        good = self._good
        assert good is not None
        if good.failure is not None:
            self._found(
                "good client",
                good.failure.translate({ord(digit): "9" for digit in "012345678"}),
                good.failure,
            )
            self._begin()
        else:
            self._watch(good)

    def _watch(self, good: GoodClient) -> None:
        if good.waiting_s > ANSWER_BOUND_S:
            self._hang(good)
        elif good.waiting_s > _SLOW_S:
            self.slow[self._where()] += 1

    def _where(self) -> str:
        """Where the broker is just now: the innermost functions."""
        self._target.where_is_it()
        time.sleep(0.2)
        stack = self._tail().rpartition("(most recent call first)")[2].splitlines()
        return " < ".join(line.rpartition("/")[2] for line in stack if "rota" in line and "File" in line)[
            :200
        ]

    def _hang(self, good: GoodClient) -> None:
        self._found("no answer", f"for {ANSWER_BOUND_S:g} s in {self._where()}", self._tail())
        began = time.monotonic()
        while good.waiting_s > ANSWER_BOUND_S and self._target.is_alive:
            if time.monotonic() - began > _GRACE_S:
                self._found("hang", f"for {_GRACE_S:g} s", self._tail())
                self._target.broker.kill()
                return
            time.sleep(0.1)

    def _read_log(self, *, any_error: bool = False) -> None:
        for complaint in self._target.complaints(any_error=any_error):
            self._found("log", complaint.signature, complaint.text, self._past.get(complaint.peer))

    def _tail(self) -> str:
        return self._target.broker.log_file.read_text(errors="replace")[-6000:]

    def _found(self, what: str, signature: str, text: str, peer: Peer | None = None) -> None:
        inputs = (
            list(peer.inputs)
            if peer
            else [each for one in list(self._past.values())[-60:] for each in one.inputs]
        )
        if self.findings.add(what, signature, text, inputs):
            self._say(f"FINDING {what}: {signature}")

    # --- restarting -----------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """A broker on an empty directory, and a good client."""
        self._drop_everybody()
        self._keep_account()
        self._inputs.known.secret = self._target.start_anew()
        self._good = GoodClient(self._target.broker.bootstrap_servers, 0)

    def _restart(self) -> None:
        self._drop_everybody()
        self._look()
        good = self._good
        assert good is not None
        self._keep_account()
        offset = good.offset
        self._read_log()
        self.restarts += 1
        for difference in self._target.restart(kill=self.restarts % 2 == 0):
            self._found(
                "restart", difference.translate({ord(digit): "9" for digit in "012345678"})[:60], difference
            )
        self._read_log(any_error=True)
        self._say(
            f"{self.inputs} inputs, {self.answers.total()} answers, {self.restarts} restarts, "
            f"peak {self.peak_mb:.0f} MB, slowest answer {self.slowest_s:.2f} s, {len(self.findings.counts)} findings"
        )
        if self.restarts % _ANEW_EVERY == 0:
            self._begin()
            return
        self._target.make_topics()
        self._good = GoodClient(self._target.broker.bootstrap_servers, offset)

    def _keep_account(self) -> None:
        good = self._good
        if good is not None:
            while not good.stop(_SLOW_S) and self._target.is_alive:
                self._watch(good)
            self._good = None
            self.slowest_s = max(self.slowest_s, good.slowest_s)
            self.good_answers += good.answers
