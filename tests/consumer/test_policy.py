"""What becomes of a record that failed, by what its handler asked for."""

from __future__ import annotations

import asyncio
import dataclasses
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.consumer.core.policy import DeadLetter, NoWorkerError, PayloadError, Policy, Retry, policy_of, skip
from rota.consumer.failed.retry_topics import RetryTopics, hops_of
from rota.consumer.handlers import HandlerSpec
from rota.model import RotaError

LETTER = DeadLetter("orders.dlq")
HOPS = hops_of(RetryTopics("10s", "1m"), ["orders"], "g")


def actions(policy: Policy, failure: BaseException, attempts: int, topic: str = "orders") -> list[str]:
    return [policy.decide(failure, n, Random(1), topic).action for n in range(1, attempts + 1)]


def test_attempts_are_limited_and_then_the_consumer_stops() -> None:
    assert actions(Policy(Retry(attempts=3)), OSError(), 3) == ["retry", "retry", "crash"]


def test_after_the_attempts_a_dead_letter() -> None:
    assert actions(Policy(Retry(attempts=2), LETTER), OSError(), 2) == ["retry", "dead-letter"]


def test_after_the_attempts_skipped() -> None:
    assert actions(Policy(Retry(attempts=2), skip_failed=True), OSError(), 2) == ["retry", "skip"]


def test_only_exceptions_that_are_named_are_tried_again() -> None:
    policy = Policy(Retry(attempts=3, on=(OSError,), not_on=(FileNotFoundError,)), LETTER)
    assert actions(policy, TimeoutError(), 1) == ["retry"]
    assert actions(policy, FileNotFoundError(), 1) == ["dead-letter"]
    assert actions(policy, ValueError(), 1) == ["dead-letter"]


def test_a_payload_that_cannot_be_read_is_tried_again_only_if_asked_for_by_name() -> None:
    class TruncatedError(PayloadError):
        pass

    assert actions(Policy(Retry(attempts=3), LETTER), PayloadError(), 1) == ["dead-letter"]
    named = Policy(Retry(attempts=3, on=(Exception, PayloadError)), LETTER)
    assert actions(named, PayloadError(), 1) == ["retry"]
    below = Policy(Retry(attempts=3, on=(TruncatedError,)), LETTER)
    assert actions(below, TruncatedError(), 1) == ["retry"]
    assert actions(below, PayloadError(), 1) == ["dead-letter"]


@pytest.mark.parametrize("failure", [asyncio.CancelledError(), TimeoutError(), GeneratorExit()])
def test_a_cancellation_that_the_handler_lets_through_is_a_failure_of_its_record(
    failure: BaseException,
) -> None:
    assert actions(Policy(Retry(attempts=2), LETTER), failure, 2) == ["retry", "dead-letter"]
    assert actions(Policy(Retry(attempts=2, on=(OSError,)), LETTER), GeneratorExit(), 1) == ["dead-letter"]


@pytest.mark.parametrize("failure", [SystemExit(1), KeyboardInterrupt(), NoWorkerError("gone")])
def test_what_means_the_program_ends_the_consumer_whatever_was_asked_for(failure: BaseException) -> None:
    policy = Policy(Retry(attempts=9, on=(BaseException,)), LETTER, hops=HOPS)
    assert actions(policy, failure, 1) == ["crash"]
    assert actions(Policy(skip_failed=True), failure, 1) == ["crash"]


def test_several_failures_at_once_are_tried_again_if_all_of_them_may_be_cured() -> None:
    """As an asyncio.TaskGroup raises them."""
    policy = Policy(Retry(attempts=2, on=(OSError,)), LETTER)
    assert actions(policy, ExceptionGroup("", [OSError(), TimeoutError()]), 1) == ["retry"]
    assert actions(policy, ExceptionGroup("", [OSError(), ValueError()]), 1) == ["dead-letter"]
    nested = ExceptionGroup("", [OSError(), ExceptionGroup("", [ValueError()])])
    assert actions(policy, nested, 1) == ["dead-letter"]
    assert actions(Policy(Retry(attempts=2)), ExceptionGroup("", [PayloadError()]), 1) == ["crash"]
    assert actions(policy, BaseExceptionGroup("", [OSError(), SystemExit(1)]), 1) == ["crash"]
    named = Policy(Retry(attempts=2, on=(ExceptionGroup,)), LETTER)
    assert actions(named, ExceptionGroup("", [ValueError()]), 1) == ["retry"]


def test_a_record_that_needs_no_work_is_done() -> None:
    assert actions(Policy(Retry(attempts=5), LETTER), skip("old"), 1) == ["skip"]


def test_from_retry_topic_to_retry_topic_to_the_dead_letters() -> None:
    policy = Policy(Retry(attempts=2), LETTER, hops=HOPS)
    decisions = [policy.decide(OSError(), 2, Random(1), topic) for topic in ("orders", *policy.retry_topics)]
    assert [(d.action, d.topic, d.wait_ms) for d in decisions] == [
        ("retry-topic", "orders.g.retry.10s", 10_000),
        ("retry-topic", "orders.g.retry.1m", 60_000),
        ("dead-letter", "orders.dlq", 0),
    ]
    assert actions(policy, OSError(), 1, "orders.g.retry.10s") == ["retry"]
    assert actions(policy, PayloadError(), 1) == ["dead-letter"], "waiting does not cure it"
    assert policy.delays_ms == {"orders.g.retry.10s": 10_000, "orders.g.retry.1m": 60_000}


@given(
    st.integers(1, 200),
    st.tuples(st.floats(0.001, 100), st.floats(0.001, 100)).map(lambda pair: (min(pair), max(pair))),
    st.integers(),
)
def test_waits_grow_to_the_longest_and_chance_takes_off_a_quarter_at_most(
    attempt: int, backoff: tuple[float, float], seed: int
) -> None:
    least, most = backoff
    wait = Retry(backoff=backoff).wait_ms(attempt, Random(seed))
    full = min(most, least * 2 ** (attempt - 1)) * 1000
    assert int(0.75 * full) <= wait <= full


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Retry(attempts=0), "attempts=0"),
        (lambda: Retry(backoff=(2, 1)), "the shortest wait and the longest"),
        (lambda: Retry(backoff=(-1, 1)), "the shortest wait and the longest"),
        (lambda: Retry(on=("OSError",)), r"Retry\(on=\('OSError',\)\): it must be an exception class"),  # type: ignore[arg-type]
        (lambda: DeadLetter(""), "name of a topic"),
        (lambda: DeadLetter("t", limit=0), "limit=0"),
        (lambda: DeadLetter("t", max_ratio=1.5), "max_ratio=1.5"),
        (lambda: DeadLetter("t", window=0), "window=0"),
    ],
)
def test_mistakes_are_named(make: Any, words: str) -> None:
    with pytest.raises(RotaError, match=words):
        make()


def spec(**more: Any) -> HandlerSpec:
    def handle(record: object, context: object) -> None:
        pass

    return HandlerSpec(
        name="handle", topics=("orders",), function=handle, source=handle, decode=lambda m: m.value(), **more
    )


def test_the_policy_of_a_handler() -> None:
    policy = policy_of(
        spec(retry_topics=RetryTopics("10s", create=True), dead_letter=LETTER, retry=Retry(2)), "g"
    )
    assert policy == Policy(
        Retry(2), LETTER, hops=hops_of(RetryTopics("10s"), ["orders"], "g"), create_hops=True
    )
    assert policy_of(spec(on_failure="skip"), "g") == Policy(skip_failed=True)
    assert policy_of(spec(), "g").decide(OSError(), 1, Random(1), "orders").action == "crash"


def test_a_pattern_that_would_read_the_dead_letters_is_a_mistake() -> None:
    pattern = dataclasses.replace(spec(dead_letter=DeadLetter("orders.dlq")), topics=("^orders.*",))
    with pytest.raises(RotaError, match=r"reads orders\.dlq \(it matches \^orders\.\*\) and writes there"):
        policy_of(pattern, "g")
    policy_of(dataclasses.replace(pattern, topics=("^orders-.*",)), "g")
    policy_of(dataclasses.replace(pattern, topics=("^(",)), "g")
    with pytest.raises(RotaError, match="is a pattern of several"):
        policy_of(dataclasses.replace(pattern, retry_topics=RetryTopics("1s"), dead_letter=None), "g")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"dead_letter": LETTER, "on_failure": "skip"}, "both kept and skipped"),
        ({"dead_letter": DeadLetter("orders")}, "for ever"),
    ],
)
def test_handlers_that_contradict_themselves(more: dict[str, Any], words: str) -> None:
    with pytest.raises(RotaError, match=words):
        policy_of(spec(**more), "g")
