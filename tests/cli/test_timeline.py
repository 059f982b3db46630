"""`rota timeline`: recordings read back, whole, torn, narrowed and drawn."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from tests.kafka.ports import PATIENCE_S
from tests.timeline.story import START_MS, three_consumers_one_killed

from rota.cli import run
from rota.cli.timeline import Moment
from rota.model import RotaError
from rota.testing import Broker
from rota.timeline.events import MemberJoined, to_json

if TYPE_CHECKING:
    from pathlib import Path

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Six partitions; c3 is killed and comes back; c2 leaves."""
    path = tmp_path / "lab.jsonl"
    path.write_text("".join(to_json(event) + "\n" for event in three_consumers_one_killed().events))
    return path


def local(offset_s: float) -> str:
    """That long after the story's beginning, as a person would type it."""
    return f"{datetime.fromtimestamp(START_MS / 1000 + offset_s):%H:%M:%S}"  # noqa: DTZ006  # the wall's


def test_says_why_who_what_and_for_how_long(recording: Path, capfd: Capture) -> None:
    assert run(["timeline", str(recording)]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    story = out[out.index("#4") : out.index("#5")].splitlines()
    assert story[0].endswith("c3 was silent for its whole session timeout")
    assert story[1] == "    completed after 2.0 s: generation 4, 2 members, range"
    assert "    moved: orders 4 from c3 to c1" in story
    assert "    orders-4 waited 8.0 s (c3 was killed with -9)" in story
    assert "▔ rebalance" in out  # the drawing is under it


def test_narrowed_to_one_time(recording: Path, capfd: Capture) -> None:
    assert run(["timeline", str(recording), "--json"]) == 0
    whole = json.loads(capfd.readouterr().out)["rebalances"]
    fourth = whole[3]
    second = local((fourth["started_ms"] - START_MS) / 1000)
    assert run(["timeline", str(recording), "--json", "--at", second]) == 0
    assert json.loads(capfd.readouterr().out)["rebalances"] == [fourth]
    assert run(["timeline", str(recording), "--json", "--since", local(15), "--until", second]) == 0
    assert [item["number"] for item in json.loads(capfd.readouterr().out)["rebalances"]] == []
    assert run(["timeline", str(recording), "--since", second]) == 0
    out = capfd.readouterr().out
    assert f"{len(whole)} rebalances, {len(whole) - 3} of them at the time asked for." in out
    assert "▔" not in out


def test_a_time_without_a_rebalance_names_those_with_one(recording: Path, capfd: Capture) -> None:
    assert run(["timeline", str(recording), "--at", "2001-01-01 00:00"]) == 0
    assert f"There were rebalances at {local(0)}" in capfd.readouterr().out


def test_json_has_the_findings_too(recording: Path, capfd: Capture) -> None:
    assert run(["timeline", str(recording), "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["group"] == "workers"
    assert document["rebalances"][3]["reason"] == "session-expired"
    assert document["rebalances"][3]["moves"][0]["from_consumer"] == "c3"
    assert document["summary"]["longest_pause_ms"] == 8000


def test_draws_it(recording: Path, tmp_path: Path, capfd: Capture) -> None:
    picture = tmp_path / "out.svg"
    assert run(["timeline", str(recording), "--svg", str(picture)]) == 0
    assert picture.read_text().startswith("<svg")
    assert run(["timeline", str(recording), "--svg", str(tmp_path / "none" / "out.svg")]) == 1
    assert "cannot write" in capfd.readouterr().err


def test_a_torn_last_line_is_left_out_with_a_note(recording: Path, capfd: Capture) -> None:
    lines = recording.read_bytes().count(b"\n")
    with recording.open("ab") as file:
        file.write(b'{"v":1,"event":"Del')
    assert run(["timeline", str(recording)]) == 0
    note = f"{recording}:{lines + 1}: the last line is not whole and was left out\n"
    assert capfd.readouterr().err == note


@pytest.mark.parametrize("garbage", [b"garbage\n", b"\xff\xfe\n", b"[" * 100_000 + b"\n", b"{}\n"])
def test_garbage_is_an_error_with_its_place(garbage: bytes, recording: Path, capfd: Capture) -> None:
    recording.write_bytes(b"\n" + garbage + recording.read_bytes())
    assert run(["timeline", str(recording)]) == 1
    err = capfd.readouterr().err
    assert err.startswith(f"error: {recording}:2: cannot read the timeline event")
    assert err.count("\n") == 1


def test_one_group_of_several(recording: Path, capfd: Capture) -> None:
    with recording.open("a") as file:
        file.write(to_json(MemberJoined(START_MS, "other", "m", "c", "/127.0.0.1")) + "\n")
    assert run(["timeline", str(recording)]) == 2
    assert "tells of the groups workers, other: choose one with --group" in capfd.readouterr().err
    assert run(["timeline", str(recording), "--group", "other"]) == 0
    assert "Group other" in capfd.readouterr().out
    assert run(["timeline", str(recording), "--group", "third"]) == 1
    assert "nothing of the group third: it tells of workers, other" in capfd.readouterr().err


@pytest.mark.parametrize("words", [["--at", "noon"], ["--at", "25:00"], ["--at", "1:00", "--since", "1:00"]])
def test_wrong_times_are_wrong_usage(words: list[str], recording: Path) -> None:
    assert run(["timeline", str(recording), *words]) == 2


def test_no_recording(tmp_path: Path, capfd: Capture) -> None:
    assert run(["timeline", str(tmp_path / "none")]) == 1
    (tmp_path / "empty").touch()
    assert run(["timeline", str(tmp_path / "empty")]) == 1
    assert "holds no event" in capfd.readouterr().err


def test_a_time_of_the_day_is_the_last_before_the_end() -> None:
    end = datetime(2026, 3, 4, 9, 30)  # noqa: DTZ001  # the wall's
    assert Moment("9:30").ms(int(end.timestamp() * 1000)) == int(end.timestamp() * 1000)
    late = Moment("23:59:01.5").ms(int(end.timestamp() * 1000))
    assert datetime.fromtimestamp(late / 1000) == datetime(2026, 3, 3, 23, 59, 1, 500_000)  # noqa: DTZ001, DTZ006
    with pytest.raises(RotaError):
        Moment("2026-13-01 10:00")


@pytest.mark.parametrize(
    ("text", "length_ms"),
    [
        ("2026-11-21T20:28:00Z", 1_000),
        ("2026-11-21T20:28z", 60_000),
        ("2026-11-21 21:28:00.000+01:00", 1),
        ("2026-11-21T15:28:00-0500", 1_000),
    ],
)
def test_a_moment_with_a_zone(text: str, length_ms: int) -> None:
    moment = Moment(text)
    assert (moment.ms(0), moment.length_ms) == (1_795_292_880_000, length_ms)


@pytest.mark.parametrize("text", ["20:28Z", "2026-11-21T20:28+1", "2026-11-21T20:28:00ZZ", "2026-11-21Z"])
def test_no_moment_with_a_zone(text: str) -> None:
    with pytest.raises(RotaError, match="2026-11-21T14:02Z"):
        Moment(text)


def test_what_a_broker_recorded_by_itself(tmp_path: Path, capfd: Capture) -> None:
    from confluent_kafka import Consumer, Producer

    path = tmp_path / "broker.jsonl"
    with Broker() as broker:
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
        producer.produce("events", b"there")
        producer.flush()
        consumer = Consumer(
            {"bootstrap.servers": broker.bootstrap_servers, "group.id": "tour", "client.id": "first"}
        )
        consumer.subscribe(["events"])
        deadline = time.monotonic() + PATIENCE_S
        while not any(type(event).__name__ == "RebalanceCompleted" for event in broker.events):
            consumer.poll(0.1)
            assert time.monotonic() < deadline
        consumer.close()
        path.write_text("".join(to_json(event) + "\n" for event in broker.events))
    assert run(["timeline", str(path)]) == 0
    out = capfd.readouterr().out
    assert "first joined" in out
    assert "How long records waited is not in this recording" in out
