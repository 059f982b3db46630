"""What the fuzzer sends next: a request of the corpus, changed in one of several ways."""

from __future__ import annotations

import random
import struct
from typing import NamedTuple

from tests.fuzz.corpus import Sample
from tests.fuzz.damage import damaged, lying_length, splice
from tests.fuzz.messages import Known, change
from tests.wire.generate import random_struct

from rota.broker.dispatch import SERVED
from rota.wire.apis import APIS
from rota.wire.codec import decoder
from rota.wire.frames import request_frame
from rota.wire.schema import Message

__all__ = ["Asked", "Input", "Inputs"]

_START = struct.Struct(">hhi")
_FIRST_ID = 1_000_000


class Asked(NamedTuple):
    """One whole request in an input, as its header says."""

    key: int
    version: int
    correlation_id: int


class Input(NamedTuple):
    """Bytes for a connection. ``asked`` is what answers can be expected to; None where the frames are out of step."""

    how: str
    data: bytes
    asked: Asked | None


class Inputs:
    """Makes inputs, the same from the same seed and the same answers."""

    def __init__(self, corpus: tuple[Sample, ...], source: random.Random) -> None:
        self.known = Known()
        self._corpus = [each for each in corpus if each.key in SERVED]
        self._corpus += _made({(each.key, each.version) for each in self._corpus})
        self._by_key: dict[int, list[Sample]] = {}
        for each in self._corpus:
            self._by_key.setdefault(each.key, []).append(each)
        self._keys = sorted(self._by_key)
        self._source = source
        self._correlation_id = _FIRST_ID

    def next(self) -> Input:
        """One input."""
        source = self._source
        # Every API as often as any other; Produce and Fetch, which have the most inside, three times as often.
        sample = source.choice(self._by_key[source.choice((*self._keys, 0, 0, 1, 1, 11))])
        choice = source.random()
        if choice < 0.5:
            return self._message(sample)
        if choice < 0.6:
            return _whole("as it was", self._numbered(sample.frame))
        if choice < 0.8:
            at = sample.body_at
            return _whole(
                "damaged body", self._numbered(sample.frame[:at]) + damaged(sample.frame[at:], source)
            )
        if choice < 0.86:
            return self._other_version(sample)
        if choice < 0.91:
            return _whole("damaged frame", damaged(sample.frame, source))
        if choice < 0.97:
            other = source.choice(self._corpus)
            return _whole("spliced", splice(self._numbered(sample.frame), other.frame, source))
        return Input("lying length", lying_length(self._numbered(sample.frame), source), None)

    def _message(self, sample: Sample) -> Input:
        source = self._source
        api = APIS[sample.key]
        if (
            not api.min_version <= sample.version <= api.max_version
        ):  # clients try ApiVersions of later Kafkas
            return _whole("as it was", self._numbered(sample.frame))
        message: Message = decoder(api.request_type, sample.version)(
            memoryview(sample.frame), sample.body_at
        )[0]
        change(message, sample.version, source, self.known)
        self._correlation_id += 1
        client_id = source.choice(("fuzz", "__admin_client", "", None)) if source.random() < 0.1 else "fuzz"
        try:
            frame = b"".join(
                bytes(each)
                for each in request_frame(api, sample.version, self._correlation_id, client_id, message)
            )[4:]
        except struct.error:  # a text that is longer than this version can say
            return _whole("damaged body", damaged(self._numbered(sample.frame), source))
        return _whole("changed message", frame)

    def _other_version(self, sample: Sample) -> Input:
        source = self._source
        api = APIS[source.choice(self._keys) if source.random() < 0.2 else sample.key]
        version = source.choice(
            (*range(api.min_version, api.max_version + 1), -1, api.max_version + 1, 32_767)
        )
        frame = self._numbered(sample.frame)
        return _whole("another version", struct.pack(">hh", api.key, version) + frame[4:])

    def _numbered(self, frame: bytes) -> bytes:
        """With a correlation id of its own."""
        self._correlation_id += 1
        return frame[:4] + struct.pack(">i", self._correlation_id) + frame[8:]


def _made(known: set[tuple[int, int]]) -> list[Sample]:
    """Requests for the APIs and versions that no client has been recorded with."""
    samples = []
    for key in SERVED:
        api = APIS[key]
        for version in range(api.min_version, api.max_version + 1):
            if (key, version) not in known:
                message = random_struct(api.request_type, version, random.Random(key * 100 + version))
                chunks = request_frame(api, version, 0, "made", message)
                samples.append(Sample(key, version, "made", b"".join(bytes(each) for each in chunks)[4:]))
    return samples


def _whole(how: str, frame: bytes) -> Input:
    """A frame behind its own length."""
    asked = Asked(*_START.unpack_from(frame)) if len(frame) >= _START.size else None
    return Input(how, struct.pack(">i", len(frame)) + frame, asked)
