"""How `rota broker` says that it cannot start, or cannot end as it should."""

import signal
import sys
from pathlib import Path

import pytest
from tests.cli.command import Command


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
