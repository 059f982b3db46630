"""The ledger's guarantees under any interleaving: processes that stop between any two steps, for as long as they
like, or for ever, while the other side ends a session sooner than the lease.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator
from random import Random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rota.consumer.effects.databases import Answer, Statement
from rota.consumer.effects.ledger_rules import Ambiguous, Outcome, Rules

LEASE = 100
SESSION = LEASE - 1
KEY = "mail"


class Processes(RuleBasedStateMachine):
    @initialize(ambiguous=st.sampled_from(["repeat", "skip", "verify"]), seed=st.integers(0, 10_000))
    def begin(self, ambiguous: str, seed: int) -> None:
        self.ambiguous = ambiguous
        self.random = Random(seed)
        self.now = 1_000
        self.happened = 0
        self.names = 0
        self.lives: list[Iterator[None]] = []
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.run(Rules("rota_ledger", "", LEASE).create())
        self.start_one()

    def run(self, statement: Statement) -> Answer:
        cursor = self.connection.execute(statement.text.replace("{now}", str(self.now)), statement.values)
        return Answer(cursor.fetchall() if cursor.description else [], cursor.rowcount)

    def claiming(self, rules: Rules) -> Generator[None, None, Outcome]:
        steps = rules.claim(KEY, "", finished=False, take_ambiguous=self.ambiguous != "skip")
        try:
            statement = next(steps)
            while True:
                yield
                statement = steps.send(self.run(statement))
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome

    def life(self, me: str) -> Iterator[None]:
        """A process that handles the record until it is done; it may stop at every yield."""
        rules = Rules("rota_ledger", me, LEASE)
        while True:
            outcome = yield from self.claiming(rules)
            yield
            if outcome.verdict == "held":
                continue
            if not outcome.token:
                return
            if outcome.again and self.ambiguous == "verify":
                happened = self.happened > 0
                yield
                if happened:
                    self.run(rules.finish(KEY, outcome.token))
                    return
            session_ends = self.now + SESSION
            yield
            if self.run(rules.renew(KEY, outcome.token)).changed == 0:
                continue
            yield
            error = self.random.random() < 0.2
            if self.now <= session_ends and not (error and self.random.random() < 0.5):
                self.happened += 1
                yield
            else:
                error = True
            yield
            if error:
                self.run(rules.doubt(KEY, outcome.token))
            elif self.run(rules.finish(KEY, outcome.token)).changed == 1:
                return

    @rule()
    def start_one(self) -> None:
        self.names += 1
        self.lives.append(self.life(f"process {self.names}"))

    @rule(which=st.integers(0, 5), steps=st.integers(1, 12))
    def go_on(self, which: int, steps: int) -> None:
        for _ in range(steps):
            if self.lives and next(self.lives[which % len(self.lives)], StopIteration) is StopIteration:
                del self.lives[which % len(self.lives)]

    @rule(which=st.integers(0, 5))
    def kill(self, which: int) -> None:
        if self.lives:
            del self.lives[which % len(self.lives)]

    @rule(ms=st.sampled_from([1, 10, LEASE - 1, LEASE, 3 * LEASE]))
    def time_passes(self, ms: int) -> None:
        self.now += ms

    @rule()
    def somebody_handles_it_to_the_end(self) -> None:
        for _ in self.life("the last"):
            self.now += 1
        if self.ambiguous == "skip":
            assert self.happened == 1 or self.listed() == [KEY]
        else:
            assert self.happened >= 1

    @invariant()
    def it_happened_once_at_most(self) -> None:
        if getattr(self, "ambiguous", "repeat") != "repeat":
            assert self.happened <= 1

    @invariant()
    def done_means_that_it_happened(self) -> None:
        if hasattr(self, "connection"):
            done = self.connection.execute(
                "SELECT count(*) FROM rota_ledger WHERE state = 'done'"
            ).fetchone()[0]
            assert done <= self.happened

    def listed(self) -> list[str]:
        answer = self.run(Rules("rota_ledger", "", LEASE).list_ambiguous())
        return [Ambiguous(*row).key for row in answer.rows]

    def teardown(self) -> None:
        if hasattr(self, "connection"):
            self.connection.close()


Processes.TestCase.settings = settings(
    max_examples=300, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestProcesses = Processes.TestCase


def test_a_session_that_outlives_the_lease_may_do_it_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why docs/effects.md asks for a lease that is longer than the other side's patience: one process stops after it
    has renewed its claim, and goes on when another has done it.
    """
    monkeypatch.setattr(f"{__name__}.SESSION", 10 * LEASE)
    story = Processes()
    story.begin("verify", 0)
    story.random = NoErrors()
    frozen = story.life("frozen")
    for _ in ("begins", "claims", "opens a session", "renews"):
        next(frozen)
    story.now += 2 * LEASE
    for _ in story.life("quick"):
        pass
    assert story.happened == 1
    for _ in frozen:
        pass
    assert story.happened == 2
    story.teardown()


class NoErrors(Random):
    def random(self) -> float:
        return 1.0
