"""Slips of the pen in what an application says: one line that names the option, and what was meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rota.consumer import App, Batch, DeadLetter, Handler, Health, Limits, Retry
from rota.consumer.ledger import AsyncLedger, Ledger
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG = {"bootstrap.servers": "127.0.0.1:1", "group.id": "g"}
SECONDS = "two numbers of seconds, the shortest wait and the longest"


def _said(slip: Callable[[], object]) -> str:
    with pytest.raises(RotaError) as raised:
        slip()
    said = str(raised.value)
    assert "\n" not in said
    return said


@pytest.mark.parametrize(
    ("kind", "arguments", "words"),
    [
        (Health, {"partition_stuk": 3}, "Health has no option partition_stuk: did you mean partition_stuck?"),
        (Ledger, {"lease": 3}, "Ledger has no option lease: did you mean lease_s?"),
        (AsyncLedger, {"lease": 3}, "AsyncLedger has no option lease: did you mean lease_s?"),
        (Limits, {"inflight": 3}, "Limits has no option inflight: did you mean in_flight?"),
        (Batch, {"mst": 3}, "Batch has no option mst: did you mean most?"),
        (DeadLetter, {}, "DeadLetter: missing a required argument: 'topic'"),
        (Retry, {"backoff": 3}, f"Retry(backoff=3): {SECONDS}"),
        (Retry, {"backoff": (3, 1)}, f"Retry(backoff=(3, 1)): {SECONDS}"),
        (Retry, {"backoff": ("a", 1)}, f"Retry(backoff=('a', 1)): {SECONDS}"),
        (Retry, {"attempts": "5"}, "Retry(attempts='5'): it must be a whole number, 1 or more, the first included"),
        (Retry, {"on": 5}, "Retry(on=5): it must be an exception class, or a tuple of them"),
        (Retry, {"not_on": ("x",)}, "Retry(not_on=('x',)): it must be an exception class, or a tuple of them"),
    ],
)  # fmt: skip
def test_of_what_is_given_to_handlers(kind: Callable[..., object], arguments: Any, words: str) -> None:
    assert _said(lambda: kind(**arguments)) == words


def test_one_exception_needs_no_tuple() -> None:
    one: Any = ValueError
    retry = Retry(on=one, not_on=one)
    assert (retry.on, retry.not_on) == ((ValueError,), (ValueError,))


def test_of_options_that_belong_elsewhere() -> None:
    wrong: dict[str, Any] = {"workers": "threads"}
    words = "App has no option workers: it is a handler's, @app.handler('topic', workers=…)"
    assert _said(lambda: App(CONFIG, **wrong)) == words
    wrong = {"limits": None}
    assert _said(lambda: App(CONFIG).handler("t", **wrong)) == (
        "@app.handler has no option limits: it is the app's, App(config, limits=…)"
    )


@pytest.mark.parametrize("slip", ["on_asigned", "on_revoke"])
def test_of_the_names_of_hooks(slip: str) -> None:
    kind = type(
        "Loader", (Handler,), {"topics": "t", "process": lambda _s, _r: None, slip: lambda _s, _p: None}
    )
    meant = "on_assigned" if "sig" in slip else "on_revoked"
    assert _said(lambda: App(CONFIG).add(kind())) == f"Loader.{slip}: did you mean {meant}?"


def test_of_the_order_of_arguments() -> None:
    def swapped(context: Any, record: Any) -> None: ...

    words = "takes (context, record): the record comes first: (record, context)"
    assert _said(lambda: App(CONFIG).handler("t")(swapped)).endswith(words)

    class Loader(Handler):
        topics = "t"

        def process(self, context: Any, records: Any) -> None: ...

    assert _said(lambda: App(CONFIG).add(Loader())).endswith(
        "takes (context, records): the record comes first: (records, context)"
    )
