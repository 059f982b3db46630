"""A client, or another committer, that is watched does the same as before, and its commits are counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from rota.consumer.clients.client import CommitError, Offset
from rota.consumer.operations.counts import Counts
from rota.consumer.operations.observed import observed
from rota.model import TopicPartition

P0 = TopicPartition("orders", 0)


Answer = Callable[[CommitError | None, Mapping[TopicPartition, str]], None]


class Client:
    """So much of a client as is watched, and a method that is not."""

    def __init__(self) -> None:
        self.problem: CommitError | None = None
        self.rebalance: Listener | None = None
        self.asked: list[Answer] = []
        self.paused: list[TopicPartition] = []

    def subscribe(self, _topics: Sequence[str], rebalance: Listener) -> None:
        self.rebalance = rebalance

    def commit(self, _offsets: Mapping[TopicPartition, Offset]) -> Mapping[TopicPartition, str]:
        if self.problem is not None:
            raise self.problem
        return {}

    def commit_soon(self, _offsets: Mapping[TopicPartition, Offset], answered: Answer) -> None:
        self.asked.append(answered)

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        self.paused += partitions


class Listener:
    """What the client tells of partitions, and what was counted meanwhile."""

    def __init__(self, counts: Counts) -> None:
        self.counts = counts
        self.heard: list[tuple[str, object]] = []

    def assigned(self, _partitions: object) -> None:
        self.heard.append(("assigned", self.counts.rebalance_now))

    def revoked(self, _partitions: object) -> None:
        self.heard.append(("revoked", self.counts.rebalance_now))

    def lost(self, _partitions: object) -> None:
        raise ValueError("no")


def test_commits_that_are_waited_for_and_those_that_are_not_are_counted() -> None:
    counts = Counts(lambda: 7, lambda: 7)
    problems: list[str | None] = []
    counts.on_commit = lambda _seconds, problem: problems.append(problem)
    fake = Client()
    client = observed(fake, counts)
    assert client.commit({P0: Offset(3)}) == {}
    fake.problem = CommitError("the coordinator is away")
    with pytest.raises(CommitError):
        client.commit({P0: Offset(4)})
    answers: list[tuple[CommitError | None, Mapping[TopicPartition, str]]] = []
    client.commit_soon({P0: Offset(5)}, lambda *answer: answers.append(answer))
    assert counts.commits == 2  # the third is not answered yet
    fake.asked[0](fake.problem, {})
    assert isinstance(answers[0][0], CommitError)
    assert counts.commits == 3
    assert counts.commit_s.read().count == 3
    assert problems == [None, "the coordinator is away", "the coordinator is away"]


def test_rebalances_are_timed_and_what_they_raise_comes_through() -> None:
    counts = Counts(lambda: 7, lambda: 7)
    fake = Client()
    client = observed(fake, counts)
    listener = Listener(counts)
    client.subscribe(["orders"], listener)
    assert fake.rebalance is not None
    fake.rebalance.assigned([P0])
    fake.rebalance.revoked([P0])
    with pytest.raises(ValueError, match="no"):
        fake.rebalance.lost([P0])
    assert listener.heard == [("assigned", ("assigned", 7)), ("revoked", ("revoked", 7))]
    assert dict(counts.rebalances) == {"assigned": 1, "revoked": 1, "lost": 1}
    assert counts.rebalance_now is None


def test_everything_else_is_the_client_s_own() -> None:
    fake = Client()
    client = observed(fake, Counts(lambda: 7, lambda: 7))
    client.pause([P0])
    assert fake.paused == [P0]
