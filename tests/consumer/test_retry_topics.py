"""Retry topics: their names, their order, and how long a record waits in one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.consumer.stored_message import StoredMessage

from rota.consumer.failed.retry_topics import Hop, RetryTopics, hops_of, wait_ms
from rota.model import RotaError


def test_each_topic_of_the_handler_has_its_own_chain() -> None:
    hops = hops_of(RetryTopics("10s", "1m"), ["orders", "returns"], "billing")
    assert hops == {
        "orders": Hop("orders.billing.retry.10s", 10_000, "orders"),
        "orders.billing.retry.10s": Hop("orders.billing.retry.1m", 60_000, "orders"),
        "returns": Hop("returns.billing.retry.10s", 10_000, "returns"),
        "returns.billing.retry.10s": Hop("returns.billing.retry.1m", 60_000, "returns"),
    }


@pytest.mark.parametrize(
    ("delay", "ms"), [("500ms", 500), ("10s", 10_000), ("2m", 120_000), ("1h", 3_600_000), ("1d", 86_400_000)]
)
def test_delays(delay: str, ms: int) -> None:
    assert RetryTopics(delay).delays_ms == {delay: ms}


@pytest.mark.parametrize(
    ("delays", "name", "words"),
    [
        ((), "{topic}.{delay}", "wants a delay"),
        (("10",), "{topic}.{delay}", "'10' is no delay"),
        (("0s",), "{topic}.{delay}", "'0s' is no delay"),
        (("1s", "1s"), "{topic}.{delay}", "give it once"),
        (("1s",), "{topic}.retry", "{delay} is missing"),
        (("1s",), "retry.{delay}", "{topic} is missing"),
    ],
)
def test_mistakes_are_named(delays: tuple[str, ...], name: str, words: str) -> None:
    with pytest.raises(RotaError, match=words):
        RetryTopics(*delays, name=name)


def test_a_group_that_cannot_be_part_of_a_topic_s_name() -> None:
    with pytest.raises(RotaError, match=r"cannot be a topic's name.*another one"):
        hops_of(RetryTopics("1s"), ["orders"], "my group")
    hops = hops_of(RetryTopics("1s", name="{topic}.again.{delay}"), ["orders"], "my group")
    assert hops["orders"].topic == "orders.again.1s"


@given(st.integers(0, 10**13), st.integers(0, 10**13))
def test_a_record_waits_until_it_is_due_but_never_longer_than_the_delay(due: int, now: int) -> None:
    message = StoredMessage("orders.retry.10s", its_headers=[("rota-due-at", b"%d" % due)])
    wait = wait_ms(message, {"orders.retry.10s": 10_000}, now)
    assert wait == min(max(due - now, 0), 10_000)


def test_what_comes_from_elsewhere_or_says_nothing_is_due() -> None:
    delays = {"orders.retry.10s": 10_000}
    late = [("rota-due-at", b"99999999999999")]
    assert wait_ms(StoredMessage("orders", its_headers=late), delays, 0) is None
    assert wait_ms(StoredMessage("orders.retry.10s"), delays, 0) == 0
    assert wait_ms(StoredMessage("orders.retry.10s", its_headers=[("rota-due-at", b"soon")]), delays, 0) == 0
