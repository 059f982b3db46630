"""The declared messages are those of the schemas inside Apache Kafka's jars, field by field."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.kafka.jars import KAFKA_VERSION

from rota.wire.apis import APIS
from rota.wire.messages import consumer_protocol, group_log, transaction_log
from rota.wire.schema import Field, Message, Struct, Versions

ROOT = Path(__file__).parents[2]
MESSAGES = ROOT / "src/rota/wire/messages"
OTHERS: tuple[type[Message], ...] = (
    *(getattr(group_log, name) for name in group_log.__all__ if name.endswith(("Key", "Value"))),
    consumer_protocol.ConsumerProtocolSubscription,
    consumer_protocol.ConsumerProtocolAssignment,
    transaction_log.TransactionLogKey,
    transaction_log.TransactionLogValue,
)
JARS = ("clients", "group-coordinator", "transaction-coordinator")
_NUMBERS = {"int8", "int16", "uint16", "int32", "uint32", "int64"}


def declared() -> list[type[Message]]:
    """Every message: requests and responses, the log's records, the members' own protocol."""
    served = [kind for api in APIS.values() for kind in (api.request_type, api.response_type)]
    return [*served, *OTHERS]


@pytest.mark.parametrize("message", declared(), ids=lambda message: message.__name__)
def test_like_the_schema(message: type[Message], kafka_jars: Path) -> None:
    schema = schemas(kafka_jars)[message.__name__]
    common = {each["name"]: each["fields"] for each in schema.get("commonStructs", [])}
    offered = Versions.parse(schema["validVersions"])
    # The newest version may be one that brokers do not offer by default.
    assert message.versions.first == offered.first
    assert message.versions.last <= offered.last
    assert message.versions.last >= offered.last - 1
    assert message.flexible == Versions.parse(schema["flexibleVersions"])
    if schema["type"] in {"request", "response"}:
        assert message.api_key == schema["apiKey"]
    found = list(compare(message.__name__, message, schema["fields"], common))
    assert not found, "\n".join(found)


def test_declared_anew_they_are_the_same(kafka_jars: Path, tmp_path: Path) -> None:
    """The tool writes the files that are in the repository."""
    jars = [kafka_jars / f"kafka-{name}-{KAFKA_VERSION}.jar" for name in JARS]
    target = tmp_path / "messages"
    tool = ROOT / "tools/declare_messages.py"
    subprocess.run([sys.executable, tool, *jars, target], cwd=ROOT, check=True, timeout=120)
    written = {path.name: path.read_text() for path in target.glob("*.py")}
    kept = {path.name: path.read_text() for path in MESSAGES.glob("*.py") if path.name in written}
    assert written == kept
    assert {path.name for path in MESSAGES.glob("*.py")} - written.keys() <= {"__init__.py"}


@cache
def schemas(jars: Path) -> dict[str, dict[str, Any]]:
    """Every message schema of the jars, by name."""
    found = {}
    for name in JARS:
        with zipfile.ZipFile(jars / f"kafka-{name}-{KAFKA_VERSION}.jar") as jar:
            for path in jar.namelist():
                if path.startswith("common/message/") and path.endswith(".json"):
                    lines = jar.read(path).decode().splitlines()
                    text = "\n".join(line for line in lines if not line.lstrip().startswith("//"))
                    schema = json.loads(text)
                    found[schema["name"]] = schema
    return found


def compare(
    path: str, struct: type[Struct], fields: list[dict[str, Any]], common: dict[str, Any]
) -> Iterator[str]:
    """What differs, a line each."""
    if len(struct.fields) != len(fields):
        yield f"{path}: {len(struct.fields)} fields are declared, Kafka has {len(fields)}"
        return
    for ours, theirs in zip(struct.fields, fields, strict=True):
        yield from compare_field(f"{path}.{theirs['name']}", ours, theirs, common)


def compare_field(path: str, ours: Field, theirs: dict[str, Any], common: dict[str, Any]) -> Iterator[str]:
    type_ = theirs["type"].removeprefix("[]")
    is_array = type_ != theirs["type"]
    is_struct = type_[0].isupper()
    expected = {
        "name": theirs["name"].lower(),
        "kind": "array" if is_array else "struct" if is_struct else type_,
        "versions": Versions.parse(theirs.get("versions") or theirs["taggedVersions"]),
        "nullable": Versions.parse(theirs.get("nullableVersions", "none")),
        "tag": theirs.get("tag"),
        "tagged": Versions.parse(theirs.get("taggedVersions", "none")),
    }
    for key, value in expected.items():
        declared_value = getattr(ours, key)
        if key == "name":
            declared_value = declared_value.replace("_", "")
        if declared_value != value:
            yield f"{path}: {key} is declared as {declared_value!r}, in Kafka it is {value!r}"
    if is_struct:
        assert isinstance(ours.element, type)
        yield from compare(path, ours.element, theirs.get("fields") or common[type_], common)
    elif is_array and ours.element != type_:
        yield f"{path}: holds {ours.element!r}, in Kafka {type_!r}"
    if not is_array and not is_struct and ours.default != default(type_, theirs.get("default")):
        yield f"{path}: the default is {ours.default!r}, in Kafka {theirs.get('default')!r}"
    is_null = theirs.get("default", "") in {None, "null"}
    if (is_array or is_struct) and (ours.default is None) != is_null:
        yield f"{path}: the default is {ours.default!r}, in Kafka {theirs.get('default')!r}"


def default(type_: str, given: object) -> object:
    """A schema's default, which is text or missing, as a value."""
    if given == "null" or type_ == "records":
        return None
    if type_ == "bool":
        return str(given).lower() == "true"
    if type_ in _NUMBERS:
        return int(str(given or 0), 0)
    if type_ == "float64":
        return float(str(given or 0))
    return {"string": given or "", "bytes": b"", "uuid": bytes(16)}[type_]


def test_every_file_is_compared() -> None:
    """No message is declared that nothing here looks at."""
    looked_at = {message.__module__.rpartition(".")[2] for message in declared()}
    for path in MESSAGES.glob("*.py"):
        module = importlib.import_module(f"rota.wire.messages.{path.stem}")
        has_messages = any(
            isinstance(each, type) and issubclass(each, Message) and each is not Message
            for each in vars(module).values()
        )
        assert path.stem in looked_at or not has_messages, path
