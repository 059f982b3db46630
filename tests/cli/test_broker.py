"""How `rota broker` says that it cannot start, or cannot end as it should."""

import signal
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.command import Command

from rota.cli.broker import broker as command
from rota.cli.broker_start import OPTIONS, parse


@pytest.mark.parametrize("inside", ["file/x", "file"])
def test_a_directory_that_cannot_be_used_is_wrong_usage(rota: Command, tmp_path: Path, inside: str) -> None:
    (tmp_path / "file").touch()
    said = rota("broker", "--port", "0", "--data", str(tmp_path / inside))
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert str(tmp_path / inside) in said.err


def test_a_recording_that_cannot_be_written_is_wrong_usage(rota: Command, tmp_path: Path) -> None:
    said = rota("broker", "--port", "0", "--timeline", str(tmp_path / "nowhere" / "x.jsonl"))
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert said.err.startswith(f"error: cannot write {tmp_path}/nowhere/x.jsonl: ")


@pytest.mark.skipif(sys.platform != "linux", reason="only there can a limit be set from outside")
def test_a_disk_that_is_full_at_the_end_is_not_called_a_failed_start(rota: Command, tmp_path: Path) -> None:
    import resource

    data = tmp_path / "data"
    with rota.start("broker", "--port", "0", "--data", str(data), "--quiet") as broker:
        address = broker.next_out().rpartition(" ")[2]
        Command(address).good("topics", "create", "orders")
        resource.prlimit(broker.process.pid, resource.RLIMIT_FSIZE, (0, 0))  # no file may hold a byte more
        said = broker.stop(signal.SIGTERM)
    assert said.code == 1
    last = said.err.splitlines()[-1]
    assert last.startswith("error: the broker has ended, but could not store everything: ")
    assert "could not start" not in said.err
    assert "Traceback" not in said.err


def test_one_that_was_started_for_a_program_ends_with_its_standard_input(rota: Command) -> None:
    with rota.start("broker", "--port", "0", "--quiet", "--stop-with-stdin") as broker:  # /dev/null: at once
        broker.process.wait(60)
        assert broker.process.returncode in (0, -signal.SIGTERM)
    assert "--stop-with-stdin" not in rota.good("broker", "--help").out


WORDS = [
    *(option.name for option in OPTIONS),
    *(
        "--port=0",
        "--port=70000",
        "--config=a=b",
        "--host=",
        "--memory=yes",
        "--log-level=DEBUG",
        "--mem",
        "--",
    ),
    *(
        "-q",
        "-h",
        "-x",
        "0",
        "9092",
        "65536",
        "-1",
        "+5",
        "\N{ARABIC-INDIC DIGIT FIVE}",
        "a=b",
        "",
        "info",
        "Info",
    ),
    *(".", "/", "/dev/null", "/nowhere/at/all", "localhost:9092", "broker"),
]


@given(st.lists(st.sampled_from(WORDS), max_size=6))
def test_what_is_read_without_click_is_what_click_reads(words: list[str]) -> None:
    found = parse(words)
    if found is not None:
        with command.make_context("broker", list(words)) as context:
            assert context.params == found


@pytest.mark.parametrize(
    "line",
    [
        "",
        "--port 0 --memory",
        "--port=0 --data /nowhere/x --config a=b --config c=d --prompt-heartbeats --stop-with-stdin -q",
        "--host localhost --advertised example.org:1 --insecure --log-level debug --timeline /nowhere/y.jsonl",
    ],
)
def test_ordinary_command_lines_need_no_click(line: str) -> None:
    found = parse(line.split())
    assert found is not None
    with command.make_context("broker", line.split()) as context:
        assert context.params == found


@pytest.mark.parametrize(
    "line", ["--help", "-h", "x", "--port", "--port x", "--data /dev/null", "--mem", "--host ''"]
)
def test_what_needs_words_is_left_to_click(line: str) -> None:
    assert parse([word.strip("'") for word in line.split()]) is None
