"""Dead letters that would come back over several handlers are refused when the app starts."""

from __future__ import annotations

import pytest

from rota.consumer import App, DeadLetter, Record, RetryTopics
from rota.consumer.core.policy import policy_of
from rota.consumer.failed.circles import refuse_circles
from rota.model import RotaError

NOWHERE = {"bootstrap.servers": "127.0.0.1:1", "group.id": "g"}


def app_of(*handlers: tuple[str, str | None], retry: str | None = None) -> App:
    """A handler for each topic, and where its dead letters go; ``retry``: the topic that has a retry topic."""
    app = App(NOWHERE)
    for number, (topic, letters) in enumerate(handlers):

        def handle(record: Record[bytes]) -> None:
            pass

        handle.__name__ = f"h{number}"
        app.handler(
            topic,
            dead_letter=DeadLetter(letters) if letters else None,
            retry_topics=RetryTopics("1s") if topic == retry else None,
        )(handle)
    return app


def refuse(app: App) -> None:
    refuse_circles(app.handlers, [policy_of(spec, "g") for spec in app.handlers])


@pytest.mark.parametrize(
    ("handlers", "words"),
    [
        ([("a", "a.dlq"), ("a.dlq", "a")], "h0 to a.dlq, which h1 reads; h1 to a, which h0 reads: a record"),
        ([("a", "b"), ("b", "c"), ("c", "a")], "h0 to b, .*; h1 to c, .*; h2 to a, which h0 reads: a record"),
        (
            [("first", "a"), ("a", "b"), ("b", "a")],
            "circle: h1 to b, which h2 reads; h2 to a, which h1 reads: a",
        ),
        ([("orders", "orders.dlq"), (r"^.*\.dlq$", "orders")], "h0 to orders.dlq, which h1 reads"),
        ([("^orders-.*", "dlq"), ("dlq", "orders-late")], "h1 to orders-late, which h0 reads"),
    ],
)
def test_a_circle_over_several_handlers_is_refused(
    handlers: list[tuple[str, str | None]], words: str
) -> None:
    with pytest.raises(RotaError, match=words):
        refuse(app_of(*handlers))


def test_a_circle_through_a_retry_topic_is_refused() -> None:
    with pytest.raises(RotaError, match=r"h1 to a\.g\.retry\.1s, which h0 reads"):
        refuse(app_of(("a", "dlq"), ("dlq", "a.g.retry.1s"), retry="a"))
    with pytest.raises(RotaError, match=r"h0 to a\.g\.retry\.1s, which h0 reads: a record"):
        refuse(app_of(("a", "a.g.retry.1s"), retry="a"))


@pytest.mark.parametrize(
    "handlers",
    [
        [("a", "a.dlq"), ("a.dlq", "parked")],
        [("a", "dlq"), ("b", "dlq"), ("dlq", None)],
        [("a", "dlq"), ("dlq", "parked"), ("^b", "a")],
        [("^x-.*", "dlq"), ("dlq", "y"), ("y", None)],
    ],
)
def test_letters_that_come_to_an_end_are_not(handlers: list[tuple[str, str | None]]) -> None:
    refuse(app_of(*handlers))


def test_it_is_found_before_a_broker_is_asked() -> None:
    app = app_of(("orders", "orders.dlq"), ("orders.dlq", "orders"))
    with pytest.raises(RotaError, match=r"dead letters go in a circle: h0 to orders\.dlq"):
        app.start()
