"""Handlers as they are registered: signatures, options, mistakes. No client is made."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.consumer.stored_message import StoredMessage

from rota.consumer import (
    App,
    Batch,
    DeadLetter,
    Done,
    Handler,
    Limits,
    PayloadError,
    Record,
    Records,
    Retry,
    RetryTopics,
)
from rota.consumer.payloads import raw_value
from rota.model import RotaError, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rota.consumer import Context
    from rota.consumer.handlers import HandlerSpec

CONFIG = {"bootstrap.servers": "127.0.0.1:9", "group.id": "g"}


@dataclass
class Order:
    id: int


def spec_of(function: Callable[..., Any], **options: Any) -> HandlerSpec:
    app = App(CONFIG)
    app.handler("orders", **options)(function)
    (spec,) = app.handlers
    return spec


def call(spec: HandlerSpec, *values: bytes | None, key: bytes | None = None) -> Any:
    """What the runtime calls, and what it gets: one record, or several as a batch."""
    its = [StoredMessage("orders", 3, offset, key, value) for offset, value in enumerate(values)]
    if spec.batch is not None:
        return spec.function(Records(its, spec.decode), "context")
    return spec.function(Record(its[0], spec.decode), "context")


def test_a_plain_handler_is_called_as_it_is() -> None:
    def handle(record: Record[bytes], context: Context) -> None: ...

    spec = spec_of(handle)
    assert (spec.name, spec.topics, spec.kind, spec.workers) == ("handle", ("orders",), "sync", "threads")
    assert spec.function is handle
    assert spec.decode is raw_value


def test_a_handler_may_take_the_record_alone() -> None:
    assert call(spec_of(lambda record: record.value), b"v") == b"v"


def test_a_handler_may_be_a_method_a_partial_or_an_object() -> None:
    class Shop:
        def handle(self, record: Record[str]) -> str:
            return record.value

        def __call__(self, record: Record[Order], _context: object) -> int:
            return record.value.id

    def priced(currency: str, record: Record[Order], context: object) -> str:
        return f"{record.value.id} {currency}"

    assert call(spec_of(Shop().handle), b"v") == "v"
    assert call(spec_of(Shop()), b'{"id": 5}') == 5
    assert call(spec_of(functools.partial(priced, "EUR")), b'{"id": 5}') == "5 EUR"


def test_the_annotation_decides_what_a_value_is_even_of_a_local_class() -> None:
    @dataclass
    class Local:
        name: str

    def handle(record: Record[Local]) -> Local:
        assert record.value is record.value, "decoded once"
        return record.value

    app = App(CONFIG)
    app.handler("orders")(handle)
    assert call(app.handlers[0], b'{"name": "ann"}') == Local("ann")


def test_a_payload_error_comes_before_the_handler() -> None:
    def handle(record: Record[Order]) -> None:
        raise AssertionError("called")

    with pytest.raises(PayloadError, match=r"orders-3 at offset 0 .*the field id is missing"):
        call(spec_of(handle), b"{}")


def test_value_and_key_win_over_the_annotation() -> None:
    def handle(record: Record[Order]) -> tuple[object, object]:
        return record.key, record.value

    assert call(spec_of(handle, value=json.loads, key=bytes.decode), b"[1]", key=b"k") == ("k", [1])
    assert call(spec_of(handle, key=int), b'{"id": 1}', key=b"7") == (7, Order(1))


def test_a_batch_handler_gets_records() -> None:
    def handle(records: Records[Order]) -> object:
        assert [record.value for record in records] == records.values
        assert records[1:].values == records.values[1:]
        return records.values

    assert call(spec_of(handle, batch=Batch()), b'{"id": 1}', b'{"id": 2}') == [Order(1), Order(2)]


def test_an_unreadable_record_in_a_batch_comes_again_at_the_head_of_the_next() -> None:
    seen: list[list[Order]] = []

    def handle(records: Sequence[Record[Order]]) -> None:
        seen.append([record.value for record in records])

    spec = spec_of(handle, batch=Batch())
    answer = call(spec, b'{"id": 1}', b'{"id": 2}', b"?", b'{"id": 4}')
    assert seen == [[Order(1), Order(2)]]
    assert isinstance(answer, Done)
    assert answer.record.offset == 1
    with pytest.raises(PayloadError, match="offset 0"):
        call(spec, b"?", b'{"id": 4}')


def test_a_batch_handler_that_did_less_than_it_could_is_believed() -> None:
    spec = spec_of(lambda records: Done(records[0]), batch=Batch(), value=int)
    assert call(spec, b"1", b"2", b"?").record.offset == 0


@pytest.mark.parametrize("context", [True, False])
@pytest.mark.parametrize("batch", [None, Batch()])
def test_async_handlers_run_on_the_loop(context: bool, batch: Batch | None) -> None:
    async def both(record: Any, context: object) -> object:
        return record

    async def alone(record: Any) -> object:
        return record

    spec = spec_of(both if context else alone, batch=batch, value=int)
    assert (spec.kind, spec.workers) == ("async", "loop")
    with pytest.raises(StopIteration) as returned:
        call(spec, b"7").send(None)
    found = returned.value.value
    assert (found.values if batch else found.value) == ([7] if batch else 7)


class Loader(Handler):
    topics = ("orders", "returns")
    order = "partition"
    batch = Batch(most=7)
    retry = Retry(attempts=2)
    value = json.loads

    def __init__(self) -> None:
        self.lost: list[bool] = []

    def process(self, records: Records[Any], _context: Context) -> object:
        return records.values

    def on_revoked(self, _partitions: Sequence[TopicPartition], lost: bool, /) -> None:
        self.lost.append(lost)


def test_a_class_is_a_handler_with_its_attributes_as_options() -> None:
    app = App(CONFIG, concurrency=3)
    loader = app.add(Loader())
    (spec,) = app.handlers
    assert (spec.name, spec.topics, spec.order) == ("Loader", ("orders", "returns"), "partition")
    assert (spec.batch, spec.retry, spec.concurrency) == (Batch(most=7), Retry(attempts=2), 3)
    assert spec.hooks is loader
    assert call(spec, b"[1]", b"2") == [[1], 2]


def test_a_class_without_hooks_has_none() -> None:
    class Plain(Handler):
        topics = "orders"

        async def process(self, record: Record[str]) -> str:
            return record.value

    app = App(CONFIG)
    app.add(Plain())
    (spec,) = app.handlers
    assert (spec.hooks, spec.kind, spec.topics) == (None, "async", ("orders",))


def test_the_apps_options_hold_for_handlers_that_say_nothing() -> None:
    app = App(CONFIG, order="none", concurrency=5, null_key="none")
    app.handler("a")(lambda _: None)
    app.handler("b", order="key", concurrency=1, null_key="partition")(lambda _: None)
    said = [(spec.order, spec.concurrency, spec.null_key) for spec in app.handlers]
    assert said == [("none", 5, "none"), ("key", 1, "partition")]


def test_handlers_of_one_name_are_told_apart() -> None:
    app = App(CONFIG)
    for topic in "abc":
        app.handler(topic)(lambda _: None)
    assert len({spec.name for spec in app.handlers}) == 3


def one(record: Record[bytes]) -> None: ...
def three(record: Record[bytes], context: object, more: object) -> None: ...
def none() -> None: ...
def named(record: Record[bytes], *, shop: str) -> None: ...
def bare(record: Order) -> None: ...
def unreadable(record: Record[Nowhere]) -> None: ...  # type: ignore[name-defined]  # noqa: F821
def many(records: Records[Order]) -> None: ...
def generator(record: Record[bytes]) -> Any:
    yield record


async def later(record: Record[bytes]) -> None: ...
def odd(record: Record[Sequence[HandlerSpec]]) -> None: ...


@pytest.mark.parametrize(
    ("function", "options", "words"),
    [
        (three, {}, "three takes record"),
        (none, {}, "none takes nothing: a handler takes (record) or (record, context)"),
        (named, {}, "named takes record"),
        (bare, {}, "the first argument of bare is annotated Order: write Record[Order]"),
        (unreadable, {}, "name 'Nowhere' is not defined"),
        (generator, {}, "generator is a generator"),
        (odd, {}, "its type must be imported when the program runs, not under TYPE_CHECKING"),
        (many, {}, "the handler many takes Records: give it batch=Batch(…)"),
        (one, {"batch": Batch()}, "the handler one has a batch, and takes a Record"),
        (one, {"concurency": 3}, "@app.handler has no option concurency: did you mean concurrency?"),
        (one, {"zzz": 3}, "@app.handler has no option zzz: there are order, concurrency,"),
        (one, {"concurrency": 0}, "concurrency is 0; it must be a whole number, 1 or more"),
        (one, {"concurrency": True}, "concurrency is True"),
        (one, {"order": "keys"}, "order is 'keys'; it is one of 'key', 'partition', 'none'"),
        (one, {"null_key": "x"}, "null_key is 'x'"),
        (one, {"workers": "loop"}, "workers is 'loop'; it is one of 'auto', 'threads', 'processes'"),
        (one, {"on_failure": "crash"}, "on_failure is 'crash'; it is one of 'stop', 'skip'"),
        (one, {"rate": 0}, "rate is 0; it must be a number of records per second, above 0"),
        (one, {"rate": "9"}, "rate is '9'"),
        (one, {"exactly_once": 1}, "exactly_once is 1; it is True or False"),
        (one, {"batch": 500}, "batch is 500; it wants a Batch(…)"),
        (one, {"retry": 5}, "retry is 5; it wants a Retry(…)"),
        (one, {"dead_letter": "dlq"}, "dead_letter is 'dlq'; it wants a DeadLetter(…)"),
        (one, {"retry_topics": ("1s",)}, "it wants a RetryTopics(…)"),
        (one, {"value": "json"}, "value=str: it must be a function from bytes"),
        (one, {"dead_letter": DeadLetter("orders")}, "its dead-letter topic orders is among its own topics"),
        (later, {"workers": "threads"}, "the handler later is async and runs on an event loop"),
    ],
)
def test_a_mistake_is_told_when_the_handler_is_registered(
    function: Callable[..., Any], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(RotaError) as caught:
        App(CONFIG).handler("orders", **options)(function)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("topics", "words"),
    [
        ((), "a handler wants the name of a topic"),
        ((one,), "a handler wants the name of a topic"),
        ((["a", "b"],), "a topic is a string, not ['a', 'b']"),
        (("a b",), "'a b' cannot be a topic's name"),
        (("^a[",), "the pattern ^a[ cannot be read"),
        (("a", "a"), "names the topic a twice"),
        (("taken",), "taken: first and one would both handle its records"),
        (("^ta.*",), "^ta.* and taken: first and one would both handle"),
        (("pattern-7",), "pattern-7 and ^pattern-.*: first and one would both"),
    ],
)
def test_a_mistake_in_the_topics_is_told(topics: tuple[Any, ...], words: str) -> None:
    app = App(CONFIG)

    def first(record: Record[bytes]) -> None: ...

    app.handler("taken", "^pattern-.*")(first)
    with pytest.raises(RotaError) as caught:
        app.handler(*topics)(one)
    assert words in str(caught.value)


def test_patterns_cannot_have_retry_topics_nor_a_dead_letter_topic_that_they_match() -> None:
    with pytest.raises(RotaError, match=r"retry_topics are named after topics, and \^o.* is a pattern"):
        App(CONFIG).handler("^o.*", retry_topics=RetryTopics("1s"))(one)
    with pytest.raises(RotaError, match="what fails would come back for ever"):
        App(CONFIG).handler("^orders.*", dead_letter=DeadLetter("orders.dlq"))(one)


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"topics": "orders"}, "Mine has no method process"),
        ({"process": lambda _self, _: None}, "Mine has no topics: topics = 'orders' in the class"),
        (
            {"topics": "orders", "concurency": 4, "process": lambda _self, _: None},
            "Mine.concurency: did you mean concurrency?",
        ),
        ({"topics": "orders", "order": "x", "process": lambda _self, _: None}, "order is 'x'"),
        (
            {"topics": "orders", "process": lambda _self, _: None, "on_assigned": later},
            "Mine.on_assigned is async: hooks are called by the thread that talks to Kafka",
        ),
        (
            {
                "topics": "orders",
                "process": lambda _self, _: None,
                "on_revoked": lambda _self, _partitions: None,
            },
            "Mine.on_revoked takes (self, partitions, lost): too many positional arguments",
        ),
    ],
)
def test_a_mistake_in_a_class_is_told(attributes: dict[str, Any], words: str) -> None:
    with pytest.raises(RotaError) as caught:
        App(CONFIG).add(type("Mine", (Handler,), attributes)())
    assert words in str(caught.value)
    with pytest.raises(RotaError, match=r"app\.add wants an object of a class below Handler"):
        App(CONFIG).add(Loader)  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"concurrency": 0}, "App: concurrency is 0"),
        ({"order": "x"}, "App: order is 'x'"),
        ({"null_key": None}, "App: null_key is None"),
        ({"limits": 7}, "App: limits is 7; it wants Limits(…)"),
        (
            {"observer": print},
            "App: observer is <built-in function print>; it wants an object of a class below",
        ),
        ({"health": 60}, "App: health is 60; it wants Health(…)"),
        ({"port": "8080"}, "App: port is '8080'; it wants a number"),
        ({"port": True}, "App: port is True; it wants a number"),
        ({"host": 1}, "App: host is 1; it wants a name or an address"),
        ({"metrics": 1}, "App: metrics is 1; it wants True or False"),
        ({"obsever": None}, "App has no option obsever: did you mean observer?"),
    ],
)
def test_a_mistake_in_the_app_is_told(options: dict[str, Any], words: str) -> None:
    with pytest.raises(RotaError) as caught:
        App(CONFIG, **options)
    assert words in str(caught.value)


def test_the_configuration_comes_first() -> None:
    with pytest.raises(
        RotaError, match=r"App wants the client's configuration, a dict, first; not '127\.0\.0\.1'"
    ):
        App("127.0.0.1")  # type: ignore[arg-type]


def test_an_app_without_handlers_does_not_start() -> None:
    with pytest.raises(RotaError, match="the app has no handler"):
        App(CONFIG).start()


def test_limits_that_the_group_would_not_wait_for_are_refused_at_start() -> None:
    app = App({**CONFIG, "max.poll.interval.ms": 12_000}, limits=Limits(revoke_drain=6_001))
    app.handler("orders")(one)
    with pytest.raises(
        RotaError, match=r"revoke_drain is 6001 ms, more than half of max.poll.interval.ms \(12000\)"
    ):
        app.start()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Limits(in_fligt=1), "Limits has no option in_fligt: did you mean in_flight?"),  # type: ignore[call-arg]
        (lambda: Batch(mots=1), "Batch has no option mots: did you mean most?"),  # type: ignore[call-arg]
        (lambda: Retry(atempts=1), "Retry has no option atempts: did you mean attempts?"),  # type: ignore[call-arg]
        (lambda: DeadLetter("x", limt=1), "DeadLetter has no option limt: did you mean limit?"),  # type: ignore[call-arg]
        (lambda: RetryTopics("1s", crate=1), "RetryTopics has no option crate: did you mean create?"),  # type: ignore[call-arg]
    ],
)
def test_a_mistake_in_a_name_of_an_options_option_is_told(make: Callable[[], object], words: str) -> None:
    with pytest.raises(RotaError) as caught:
        make()
    assert words in str(caught.value)


def test_batches_are_checked() -> None:
    with pytest.raises(RotaError, match=r"Batch\(most=0\)"):
        Batch(most=0)
    with pytest.raises(RotaError, match=r"Batch\(wait_ms=-1\)"):
        Batch(wait_ms=-1)
    with pytest.raises(
        RotaError, match=r"Batch\(wait_ms=0.2\): it must be 0 or more milliseconds, a whole number"
    ):
        Batch(wait_ms=0.2)  # type: ignore[arg-type]
