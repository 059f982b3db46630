"""Byte for byte: what this codec writes, an independent one reads and writes again."""

from __future__ import annotations

import importlib
import io
import random
import re
from typing import Any

import pytest
from kio.serial import entity_reader, entity_writer
from tests.wire.generate import random_struct

from rota.wire.apis import APIS
from rota.wire.codec import decode, encode
from rota.wire.messages import consumer_protocol
from rota.wire.schema import Message

_ROUNDS = 8

_CASES = [
    pytest.param(api.key, kind, version, id=f"{api.name}{kind}-v{version}")
    for api in APIS.values()
    for kind in ("Request", "Response")
    for version in range(api.min_version, api.max_version + 1)
]


@pytest.mark.parametrize(("key", "kind", "version"), _CASES)
def test_every_message_in_every_version(key: int, kind: str, version: int) -> None:
    api = APIS[key]
    cls = api.request_type if kind == "Request" else api.response_type
    _compare(cls, f"{_snake(api.name)}.v{version}.{kind.lower()}", version)


@pytest.mark.parametrize("version", range(4))
@pytest.mark.parametrize(
    "cls", [consumer_protocol.ConsumerProtocolSubscription, consumer_protocol.ConsumerProtocolAssignment]
)
def test_what_members_tell_each_other(cls: type[Message], version: int) -> None:
    _compare(cls, f"{_snake(cls.__name__)}.v{version}.data", version)


def _compare(cls: type[Message], module: str, version: int) -> None:
    theirs: Any = getattr(importlib.import_module(f"kio.schema.{module}"), cls.__name__)
    read, write = entity_reader(theirs), entity_writer(theirs)
    source = random.Random(f"{cls.__name__} {version}")
    for _ in range(_ROUNDS):
        message = random_struct(cls, version, source)
        ours = encode(message, version)
        parsed, size = read(ours, 0)
        assert size == len(ours)
        buffer = io.BytesIO()
        write(buffer, parsed)
        assert buffer.getvalue() == ours
        assert decode(cls, version, ours) == message


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
