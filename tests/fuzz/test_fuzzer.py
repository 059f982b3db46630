"""A short attack, by number of inputs, and every case that the fuzzer has found so far."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.broker.raw import RawClient
from tests.fuzz.findings import CASES, Findings, read_case
from tests.fuzz.fuzzer import Fuzzer
from tests.fuzz.inputs import Asked, Input
from tests.fuzz.peer import BadAnswerError, Peer
from tests.fuzz.target import Target
from tests.kafka.ports import PATIENCE_S

from rota.wire.codec import encode
from rota.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from rota.wire.messages.heartbeat import HeartbeatResponse

_INPUTS = 4000


def test_a_short_attack_finds_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    fuzzer = Fuzzer(tmp_path / "broker", tmp_path / "cases", 20, said.append)
    fuzzer.run(inputs=_INPUTS)
    assert fuzzer.findings.counts == {}, said
    assert fuzzer.inputs >= _INPUTS
    assert fuzzer.answers.total() > _INPUTS // 20
    assert fuzzer.good_answers > 0


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    target = Target(tmp_path_factory.mktemp("cases"))
    target.start_anew()
    yield target
    target.broker.stop()


@pytest.mark.parametrize("case", sorted(CASES.glob("*.txt")), ids=lambda case: case.stem)
def test_what_was_found_stays_mended(case: Path, target: Target) -> None:
    host, _, port = target.broker.bootstrap_servers.rpartition(":")
    for data in read_case(case):
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), PATIENCE_S) as sock:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65_536):
                pass
    with RawClient(target.broker.bootstrap_servers) as client:
        client.call(ApiVersionsRequest(), 0, ApiVersionsResponse)
    assert target.is_alive
    assert target.complaints() == []


def test_a_finding_becomes_a_case(tmp_path: Path) -> None:
    findings = Findings(tmp_path)
    assert findings.add("log", "KeyError", "bug: …\nTraceback …", [b"\0\1", b"two"])
    assert not findings.add("log", "KeyError", "bug: again", [b"three"])
    (case,) = tmp_path.iterdir()
    assert read_case(case) == [b"\0\1", b"two"]
    assert findings.counts == {"log: KeyError": 2}


def test_a_bug_in_the_log_is_found(tmp_path: Path) -> None:
    target = Target(tmp_path)
    target.broker.log_file.write_text(
        "2026-01-01 10:00:00,000 INFO ready\n"
        "2026-01-01 10:00:01,000 ERROR bug: API 3 version 1 from 127.0.0.1:5 failed; connection closed\n"
        "Traceback (most recent call last):\n"
        '  File "/x/rota/broker/connection.py", line 7, in _serve\n'
        "KeyError: 'x'\n"
        "2026-01-01 10:00:02,000 INFO shutting down\n"
    )
    (complaint,) = target.complaints()
    assert complaint.signature == "connection.py\", line 7, in _serve KeyError: 'x'"
    assert complaint.peer == "127.0.0.1:5"
    assert target.complaints() == []


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (struct.pack(">i", 2**31 - 1), "a frame of"),
        (struct.pack(">ii", 4, 7), "which was not asked"),
    ],
)
def test_an_answer_that_is_none_is_found(answer: bytes, why: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        peer = Peer(server.getsockname(), random.Random(1), 1)
        accepted, _ = server.accept()
        with accepted:
            accepted.sendall(answer)
            accepted.shutdown(socket.SHUT_WR)
            select.select([peer.socket], [], [], PATIENCE_S)
            with pytest.raises(BadAnswerError, match=why):
                peer.receive()
        peer.close(reset=False)


def test_the_answer_behind_a_produce_that_wanted_none_is_known_by_its_number_and_form() -> None:
    answer = b"\0\0\0\x05" + encode(HeartbeatResponse(error_code=27), 3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        peer = Peer(server.getsockname(), random.Random(1), 2)
        accepted, _ = server.accept()
        with accepted:
            peer.send(Input("produce", b"p", Asked(0, 8, 5)))
            peer.send(Input("heartbeat", b"h", Asked(12, 3, 5)))
            accepted.sendall(struct.pack(">i", len(answer)) + answer)
            select.select([peer.socket], [], [], PATIENCE_S)
            assert peer.receive() == [HeartbeatResponse(error_code=27)]
        peer.close(reset=False)
