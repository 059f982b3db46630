"""confluent-kafka's deserialisers as ``value=`` and ``key=``, with a registry that they ask over HTTP."""

from __future__ import annotations

import io
import json
import struct
from typing import TYPE_CHECKING, Any

import fastavro
import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer
from tests.consumer.kafka_tools import app_for, committed, create, produce
from tests.consumer.schema_registry import SchemaRegistry
from tests.kafka.ports import wait_until

from rota.consumer import Record
from rota.testing import Broker

if TYPE_CHECKING:
    from collections.abc import Iterator

AVRO = {"type": "record", "name": "Order", "fields": [{"name": "id", "type": "int"}]}
JSON = {
    "title": "Order",
    "type": "object",
    "properties": {"id": {"type": "integer"}},
    "required": ["id"],
}


@pytest.fixture
def registry() -> Iterator[SchemaRegistry]:
    with SchemaRegistry({1: ("AVRO", json.dumps(AVRO)), 2: ("JSON", json.dumps(JSON))}) as registry:
        yield registry


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker({"auto.create.topics.enable": False}) as broker:
        create(broker, "orders")
        yield broker


def framed(schema: int, payload: bytes) -> bytes:
    """The wire format of registries: a zero, the schema's id, the payload."""
    return struct.pack(">bI", 0, schema) + payload


def avro(record: dict[str, Any], schema: int = 1) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, AVRO, record)
    return framed(schema, out.getvalue())


def deserialiser(kind: str, registry: SchemaRegistry) -> Any:
    client = SchemaRegistryClient({"url": registry.url, "max.retries": 0})
    if kind == "avro":
        return AvroDeserializer(client)
    return JSONDeserializer(json.dumps(JSON), schema_registry_client=client)


CASES = [
    pytest.param("avro", avro({"id": 1}), avro({"id": 2}, schema=9), "Schema not found", id="avro"),
    pytest.param(
        "json", framed(2, b'{"id": 1}'), framed(2, b'{"id": "x"}'), "'x' is not of type 'integer'", id="json"
    ),
]


@pytest.mark.parametrize(("kind", "good", "bad", "words"), CASES)
def test_records_are_read_with_schemas_from_the_registry(
    broker: Broker, registry: SchemaRegistry, kind: str, good: bytes, bad: bytes, words: str
) -> None:
    produce(broker, "orders", [good, bad, good, b"no frame", None, good], key="same")
    app = app_for(broker)
    seen: list[object] = []

    @app.handler("orders", value=deserialiser(kind, registry), on_failure="skip")
    def handle(record: Record[Any]) -> None:
        seen.append(record.value)

    with app.start():
        wait_until("what can be read", lambda: len(seen) >= 4)
    assert seen == [{"id": 1}, {"id": 1}, None, {"id": 1}]
    assert committed(broker, "orders") == 6
    assert "/schemas/ids/1" in registry.asked or "/schemas/ids/2" in registry.asked


@pytest.mark.parametrize(("kind", "good", "bad", "words"), CASES)
def test_what_cannot_be_read_says_why(
    registry: SchemaRegistry, kind: str, good: bytes, bad: bytes, words: str
) -> None:
    from tests.consumer.stored_message import StoredMessage

    from rota.consumer import PayloadError
    from rota.consumer.payloads import custom

    decode = custom(deserialiser(kind, registry), "value")
    assert decode(StoredMessage(its_value=good)) == {"id": 1}
    with pytest.raises(PayloadError) as caught:
        decode(StoredMessage(its_value=bad))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
