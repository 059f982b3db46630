"""From a record's bytes to the type that a handler's annotation names."""

import enum
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from threading import Thread
from typing import Annotated, Any, Literal, NewType, NotRequired, TypedDict
from uuid import UUID

import msgspec
import pydantic
import pytest
from confluent_kafka.serialization import (
    Deserializer,
    IntegerDeserializer,
    SerializationContext,
    StringDeserializer,
)
from hypothesis import given
from hypothesis import strategies as st
from tests.consumer.stored_message import StoredMessage

from rota.consumer import PayloadError
from rota.consumer.convert import MismatchError, converter
from rota.consumer.payloads import annotated, custom
from rota.model import RotaError


def message(value: bytes | None = b"", key: bytes | None = None, headers: Any = None) -> StoredMessage:
    return StoredMessage("orders", 3, 42, key, value, headers)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Line:
    sku: str
    count: int = 1


@dataclass
class Order:
    id: int
    price: float
    lines: list[Line]
    colour: Colour | None = None
    tags: dict[str, str] = field(default_factory=dict)
    parent: "Order | None" = None


class Event(TypedDict):
    user: str
    at: NotRequired[int]


class Struct(msgspec.Struct):
    id: int
    name: str = "nobody"


class Model(pydantic.BaseModel):
    id: int
    names: list[str] = []


Positive = Annotated[int, pydantic.Field(gt=0)]
Sku = NewType("Sku", str)


class Priced(pydantic.BaseModel):
    price: Positive


def decoded(kind: Any, data: bytes | None) -> Any:
    decode = annotated(kind)
    assert decode is not None
    return decode(message(value=data))


@pytest.mark.parametrize(
    ("kind", "data", "value"),
    [
        (str, b"gr\xc3\xbc\xc3\x9fe", "grüße"),
        (str | None, None, None),
        (int, b"7", 7),
        (float, b"7", 7.0),
        (bool, b"true", True),
        (dict, b'{"a": [1, null]}', {"a": [1, None]}),
        (dict[str, int], b'{"a": 1}', {"a": 1}),
        (list[int], b"[1, 2]", [1, 2]),
        (Sequence[str], b'["a"]', ["a"]),
        (Mapping[str, Any], b'{"a": {}}', {"a": {}}),
        (tuple[int, str], b'[1, "a"]', (1, "a")),
        (tuple[int, ...], b"[1, 2, 3]", (1, 2, 3)),
        (frozenset[int], b"[1, 1]", frozenset({1})),
        (int | str, b'"a"', "a"),
        (Literal["a", 1], b"1", 1),
        (Colour, b'"red"', Colour.RED),
        (datetime, b'"2026-11-21T15:00:00+00:00"', datetime.fromisoformat("2026-11-21T15:00:00+00:00")),
        (Decimal, b"1.10", Decimal("1.1")),
        (UUID, b'"12345678123456781234567812345678"', UUID("12345678123456781234567812345678")),
        (Event, b'{"user": "ann", "other": 1}', {"user": "ann"}),
        (Line, b'{"sku": "x", "new": true}', Line("x")),
        (Order | None, None, None),
        (Struct, b'{"id": 1}', Struct(1)),
        (list[Struct], b'[{"id": 1, "name": "ann"}]', [Struct(1, "ann")]),
        (Model, b'{"id": 1, "names": ["a"]}', Model(id=1, names=["a"])),
        (list[Positive], b"[1]", [1]),
        (Sku, b'"x"', '"x"'),
        (list[Sku], b'["x"]', ["x"]),
        (Model | None, None, None),
    ],
    ids=str,
)
def test_bytes_become_what_the_annotation_names(kind: Any, data: bytes | None, value: object) -> None:
    found = decoded(kind, data)
    assert found == value
    assert type(found) is type(value)


def test_a_dataclass_may_contain_others_and_itself() -> None:
    data = {"id": 2, "price": 3, "lines": [{"sku": "a"}, {"sku": "b", "count": 2}], "colour": "blue"}
    data["parent"] = {"id": 1, "price": 0.5, "lines": []}
    assert decoded(Order, json.dumps(data).encode()) == Order(
        2, 3.0, [Line("a"), Line("b", 2)], Colour.BLUE, parent=Order(1, 0.5, [])
    )


@pytest.mark.parametrize("kind", [bytes, Any, object, bytes | None], ids=str)
def test_bytes_stay_bytes(kind: Any) -> None:
    assert annotated(kind) is None


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        (str, b"\xff", "cannot be decoded: 'utf-8' codec can't decode byte 0xff"),
        (dict, b"{", "cannot be decoded: Expecting property name"),
        (int, b'"7"', "$: '7' is no whole number"),
        (int, b"true", "$: True is no whole number"),
        (bool, b"1", "$: 1 is no boolean"),
        (dict, b"[]", "$: a list is no object"),
        (list[int], b'[1, "a"]', "$[1]: 'a' is no whole number"),
        (tuple[int, int], b"[1]", "$: the list has 1 items, not 2"),
        (Literal["a"], b'"b"', "$: 'b' is none of 'a'"),
        (Colour, b'"green"', "$: 'green' is no Colour"),
        (int | str, b"[]", "$: a list is no int | str"),
        (Event, b"{}", "$: the field user is missing"),
        (Line, b"7", "$: 7 is no object, so no Line"),
        (Order, b'{"id": 1, "price": 1, "lines": [{"sku": 3}]}', "$.lines[0].sku: 3 is no string"),
        (Line | None, b'{"sku": 3}', "$.sku: 3 is no string"),
        (Struct, b'{"id": "a"}', "Expected `int`, got `str` - at `$.id`"),
        (Priced, b'{"price": -1}', "$.price: Input should be greater than 0"),
        (Model, b'{"id": "a"}', "$.id: Input should be a valid integer"),
        (Order, None, "is null (a tombstone); Record[Order | None] takes those too"),
        (str, None, "is null (a tombstone); Record[str | None] takes those too"),
    ],
    ids=str,
)
def test_what_does_not_fit_says_where_and_why(kind: Any, data: bytes | None, words: str) -> None:
    with pytest.raises(PayloadError) as caught:
        decoded(kind, data)
    said = str(caught.value)
    assert said.startswith("the value of orders-3 at offset 42 ")
    assert words in said
    assert "\n" not in said


def test_a_type_that_json_cannot_become_is_refused_at_once() -> None:
    with pytest.raises(
        RotaError, match=r"Record\[list\[threading\.Thread\]\]: JSON cannot become Thread; name another type"
    ):
        annotated(list[Thread])
    with pytest.raises(RotaError, match="the keys of a JSON object are str, not int"):
        annotated(dict[int, str])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_what_any_json_becomes_is_an_order_or_a_mismatch_and_nothing_else(value: object) -> None:
    found: object
    try:
        found = converter(Order)(value)
    except MismatchError as mismatch:
        found = str(mismatch)
    assert isinstance(found, Order) or (isinstance(found, str) and found.startswith("$"))


def test_value_takes_any_function_from_bytes() -> None:
    assert custom(json.loads, "value")(message(value=b"[1]")) == [1]
    assert custom(json.loads, "value")(message(value=None)) is None
    assert custom(int, "key")(message(key=b"12")) == 12


def test_a_function_that_fails_is_told_with_its_exception() -> None:
    def parse(data: bytes) -> object:
        raise KeyError("schema")

    with pytest.raises(
        PayloadError, match="the key of orders-3 at offset 42 cannot be decoded: KeyError: 'schema'"
    ):
        custom(parse, "key")(message(key=b"k"))


class Told(Deserializer):
    """Tells what it was told."""

    def __call__(self, value: bytes | None, ctx: SerializationContext | None = None) -> object:
        assert ctx is not None
        return value, ctx.topic, ctx.field, ctx.headers


def test_confluents_deserialisers_are_told_topic_part_and_headers() -> None:
    its = message(value=b"v", key=b"k", headers=[("h", b"1")])
    assert custom(Told(), "value")(its) == (b"v", "orders", "value", [("h", b"1")])
    assert custom(Told(), "key")(its) == (b"k", "orders", "key", [("h", b"1")])
    assert custom(StringDeserializer("utf_8"), "value")(its) == "v"
    with pytest.raises(PayloadError, match="offset 42 cannot be decoded: SerializationError"):
        custom(IntegerDeserializer(), "value")(its)


async def _later(data: bytes) -> bytes:
    return data


class _Later(Deserializer):
    async def __call__(self, value: bytes | None, _ctx: SerializationContext | None = None) -> object:
        return value


@pytest.mark.parametrize(
    ("deserialiser", "words"),
    [(_later, "it is asynchronous"), (_Later(), "it is asynchronous"), ("json", "it must be a function")],
)
def test_what_cannot_be_called_for_a_value_is_refused(deserialiser: Callable[..., Any], words: str) -> None:
    with pytest.raises(RotaError, match=words):
        custom(deserialiser, "value")
