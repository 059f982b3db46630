"""`rota lab` on a terminal: the screen, and every key."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.rehearsal.children import all_gone, descendants
from tests.rehearsal.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

QUICK = ("lab", "--session-timeout", "3000")


@pytest.fixture
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


def test_keys_steer_the_group(scratch: Path) -> None:
    with Terminal(*QUICK, columns=120, rows=40, env={"TMPDIR": str(scratch)}) as screen:
        screen.wait_for("Generation 1:")
        screen.wait_for("; 2 s ago")  # by then every partition has been read
        children = descendants(screen.pid)
        assert len(children) == 5

        screen.press("?")
        screen.wait_for("stop (SIGTERM): it commits and leaves")
        screen.press("?")
        screen.press("2k")
        screen.wait_for("consumer-2 is killed with kill -9")
        screen.wait_for("killed (kill -9)")
        screen.wait_for("nobody")
        screen.wait_for("consumer-2 was silent for its whole session timeout")
        screen.wait_for("Partition 1 is read again")
        screen.press("k")
        screen.wait_for("consumer-2: killed (kill -9); a starts one that does not run.")
        screen.press("a")
        screen.wait_for("consumer-2 comes back as process")
        screen.wait_for("consumer-2 reads partition 1")
        screen.press("a")
        screen.wait_for("consumer-4 starts as process")
        screen.wait_for("consumer-4 is idle")
        screen.press("4s")
        screen.wait_for("consumer-4 has finished, committed and left (SIGTERM)")
        screen.press("1f")
        screen.wait_for("frozen (SIGSTOP)")
        screen.press("f")
        screen.wait_for("consumer-1 goes on (SIGCONT)")
        screen.press("d")
        screen.wait_for("its handler takes 20 ms for a record")
        screen.press("u")
        screen.wait_for("becomes faster: its handler takes 10 ms")
        screen.press("+")
        screen.wait_for("The producer now sends 50 events a second")
        screen.press("-")
        screen.wait_for("The producer now sends 30 events a second")
        screen.press("9")
        screen.wait_for("There is no consumer 9; a adds one.")
        screen.press("z")
        screen.wait_for("The key 'z' does nothing")
        screen.press("p")
        screen.wait_for("3 consumers share 3 partitions")
        children |= descendants(screen.pid)
        screen.press("q")
        screen.wait_for("The producer stops")
        screen.wait_for("Nothing was lost: each of the")
        screen.wait_for("Rebalances, and the longest pause")
        assert screen.wait() == 0
        assert all_gone(children)
    assert list(scratch.iterdir()) == []


def test_a_handler_that_hangs_costs_a_poll_loop_its_partition(tmp_path: Path) -> None:
    recording = tmp_path / "lab.jsonl"
    words = ("--kind", "loop", "--max-poll-interval", "4000", "--timeline", str(recording))
    with Terminal(*QUICK, *words, columns=120, rows=40) as screen:
        screen.wait_for("Generation 1:")
        screen.wait_for("; 2 s ago")
        screen.press("2m")
        screen.wait_for("consumer-2 becomes slower: its handler takes 7000 ms for a record")
        screen.wait_for("consumer-2 took longer than max.poll.interval.ms between two polls")
        screen.wait_for("consumer-2 learns that it has lost partition 1")
        screen.press("m")
        screen.wait_for("becomes faster: its handler takes 10 ms")
        screen.wait_for("Generation 3:")
        screen.wait_for("; 2 s ago")  # at rest: what comes now has one cause
        screen.press("n")
        screen.wait_for("The topic now has 4 partitions")
        screen.wait_for("The group rebalances: the number of partitions changed")
        screen.press("q")
        screen.wait_for("consumer-2 took longer than max.poll.interval.ms between two polls (took")
        screen.wait_for("the number of partitions changed (consumer-")
        assert screen.wait() == 0
    assert '"reason":"poll-interval-exceeded"' in recording.read_text()


def test_a_consumer_on_the_runtime_keeps_its_partition_while_its_handler_hangs(tmp_path: Path) -> None:
    recording = tmp_path / "lab.jsonl"
    words = ("--max-poll-interval", "4000", "--timeline", str(recording))
    with Terminal(*QUICK, *words, columns=120, rows=40) as screen:
        screen.wait_for("range, rota.consumer")
        screen.wait_for("Generation 1:")
        screen.wait_for("; 2 s ago")
        screen.press("2m")
        screen.wait_for("consumer-2 becomes slower: its handler takes 7000 ms for a record")
        screen.wait_for(" joined; 1")  # ten seconds since the last rebalance, seven of them without a poll
        screen.press("m")
        screen.wait_for("becomes faster: its handler takes 10 ms")
        screen.press("q")
        screen.wait_for("Nothing was lost")
        assert screen.wait() == 0
    told = recording.read_text()
    assert '"reason":"poll-interval-exceeded"' not in told
    assert '"event":"Lost"' not in told


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (60, 16), (200, 50)])
def test_fits_the_terminal(columns: int, rows: int) -> None:
    with Terminal(*QUICK, "--partitions", "8", columns=columns, rows=rows) as screen:
        screen.wait_for("stable, generation")
        screen.forget()
        screen.wait_for("quit")
        screen.press("?")
        screen.wait_for("choose a consumer")
        if columns >= 80:
            screen.wait_for("quit: what is left is read, then the summary")  # the whole help
        for frame in screen.frames()[:-1]:
            lines = frame.rstrip("\r\n").split("\r\n")
            assert len(lines) <= rows
            assert all(len(line) <= columns for line in lines), max(lines, key=len)
        screen.press("q")
        assert screen.wait() == 0
        if columns >= 80:
            findings = screen.text[screen.text.index("Nothing was lost") :]
            assert all(len(line) <= columns for line in findings.splitlines()), max(
                findings.splitlines(), key=len
            )


def test_ctrl_c_ends_it_with_the_summary() -> None:
    with Terminal(*QUICK) as screen:
        screen.wait_for("stable, generation")
        children = descendants(screen.pid)
        screen.press("\x03")
        screen.wait_for("Nothing was lost")
        assert screen.wait() == 0
        assert all_gone(children)


def test_everything_killed_is_read_by_somebody_before_the_end() -> None:
    with Terminal(*QUICK, "--consumers", "1", "--partitions", "2") as screen:
        screen.wait_for("stable, generation")
        screen.press("k")
        screen.wait_for("nobody")
        screen.press("q")
        screen.wait_for("Nothing was lost: each of the")
        assert screen.wait() == 0
