"""Standard output that is full, closed, or read by nobody: at most one line, never a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.cli.command import LIMIT_S, Command

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PLAN = "plan -m 1,2 -p 3"


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """A line of sh in which `rota` is this one."""
    script = f'rota() {{ "{sys.executable}" -m rota "$@"; }}; {line}'
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has /dev/full")  # noqa: PTH110
@pytest.mark.parametrize("line", [PLAN, f"{PLAN} --json", "--help", "plan --help", "completion bash"])
def test_a_full_disk_is_one_line(line: str) -> None:
    done = shell(f"rota {line} > /dev/full")
    assert done.returncode == 1
    assert done.stderr == "error: cannot go on: No space left on device\n"


@pytest.mark.parametrize("line", [PLAN, "--help", "completion bash"])
def test_a_closed_standard_output_wants_nothing(line: str) -> None:
    done = shell(f"rota {line} >&-")
    assert (done.returncode, done.stderr) == (0, "")


def test_an_error_with_nowhere_to_go_keeps_its_exit_code() -> None:
    done = shell("rota plan -m 0 -p 3 2>&-")
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize("redirection", ["closed", "pipe"])
def test_a_broker_whose_ready_line_nobody_reads_ends_cleanly(redirection: str, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "rota", "broker", "--port", "0"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            command if redirection == "pipe" else ["sh", "-c", 'exec "$@" >&-', "sh", *command],
            stdout=writing,
            stderr=log,
        )
    os.close(writing)
    try:
        while "listening on" not in (tmp_path / "log").read_text() and process.poll() is None:
            pass
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in (tmp_path / "log").read_text()
    assert "ignored" not in (tmp_path / "log").read_text()


QUIET = {
    "consume": "consume {topic} --from-beginning",
    "consume in a group": "consume {topic} --from-beginning --group {group}",
    "consume in a group that commits": "consume {topic} --from-beginning --group {group} --commit manual",
    "consume slowly": "consume {topic} --from-beginning --delay-ms 600000",
    "offsets-log": "groups offsets-log {group} --follow --from-beginning",
    "watch": "groups describe {group} --watch 600",
    "watch as JSON lines": "groups describe {group} --watch 600 --json",
    "produce": "produce {topic} --events --show --rate 0.01",
}


@pytest.mark.parametrize("name", QUIET)
def test_a_reader_that_is_gone_is_noticed_though_nothing_comes(
    cli: Command, new_name: Callable[[str], str], name: str
) -> None:
    """As ``tail -f`` does; whatever is printed comes at once, line by line, also into a pipe."""
    topic, group = new_name("quiet"), new_name("reader")
    cli.good("topics", "create", topic, "-p", "1")
    cli.good("produce", topic, stdin="one\n")
    limits = ("--commit", "manual", "--max-messages", "1", "--timeout-ms", "30000")
    if "{group}" in QUIET[name] and "consume" not in name:
        assert cli("consume", topic, "--from-beginning", "--group", group, *limits).code == 0
    words = QUIET[name].format(topic=topic, group=group).split()
    with subprocess.Popen(
        [sys.executable, "-m", "rota", *words],
        env={k: v for k, v in cli.environment().items() if k != "PYTHONUNBUFFERED"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            assert process.stdout.readline()
            process.stdout.close()
            assert process.wait(LIMIT_S) == 0
            said = process.stderr.read()
        finally:
            process.kill()
    assert "Traceback" not in said
    assert "error" not in said
