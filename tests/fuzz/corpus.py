"""Requests that real clients have sent: what the fuzzer begins with, and what the parsers must read.

The corpus is a text file, one request a line: API key, version, the client's software, and the frame without its
length, in base64. `python -m tests.fuzz.record` makes it anew.
"""

from __future__ import annotations

import base64
import struct
from functools import cache
from pathlib import Path
from typing import NamedTuple

from rota.wire.apis import APIS
from rota.wire.frames import read_client_id, skip_tags

__all__ = ["CORPUS", "Sample", "load", "save"]

CORPUS = Path(__file__).with_name("corpus.txt")
_START = struct.Struct(">hh")
_CLIENT_ID_AT = 8  # behind API key, version and correlation id
_CLIENT_ID_AT = 8  # behind API key, version and correlation id


class Sample(NamedTuple):
    """One request. ``frame`` begins with the API key: the length in front of it is whoever's sends it."""

    key: int
    version: int
    client: str
    frame: bytes

    @classmethod
    def of(cls, frame: bytes, client: str) -> Sample:
        """A sample of a frame."""
        key, version = _START.unpack_from(frame)
        return cls(key, version, client, frame)

    @property
    def body_at(self) -> int:
        """Where the header ends."""
        _, position = read_client_id(self.frame, _CLIENT_ID_AT)
        is_flexible = APIS[self.key].request_header_version(self.version) >= 2
        return skip_tags(self.frame, position) if is_flexible else position


@cache
def load(file: Path = CORPUS) -> tuple[Sample, ...]:
    """The samples, in the order of the file."""
    samples = []
    for line in file.read_text().splitlines():
        key, version, client, frame = line.split(" ")
        samples.append(Sample(int(key), int(version), client, base64.b64decode(frame)))
    return tuple(samples)


def save(samples: list[Sample], file: Path = CORPUS) -> None:
    """Write samples in an order that makes two recordings comparable."""
    lines = [
        f"{key} {version} {client} {base64.b64encode(frame).decode()}\n"
        for key, version, client, frame in sorted(
            samples, key=lambda each: (each[:3], len(each.frame), each.frame)
        )
    ]
    file.write_text("".join(lines))
