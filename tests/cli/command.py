"""Running `rota` as a user does, and reading what it says."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, Self

from tests.kafka.ports import PATIENCE_S

LIMIT_S = PATIENCE_S


@dataclass(frozen=True)
class Said:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    def json(self) -> Any:
        return json.loads(self.out)

    def json_lines(self) -> list[Any]:
        return [json.loads(line) for line in self.lines]


class Command:
    """`rota` with the bootstrap server set by environment, in a process of its own."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "COLUMNS"}}
        return {**kept, "ROTA_BOOTSTRAP_SERVER": self.bootstrap_servers, "PYTHONUTF8": "1"}

    def __call__(self, *arguments: str, stdin: str | bytes = "") -> Said:
        """Run to the end."""
        done = subprocess.run(
            [sys.executable, "-m", "rota", *arguments],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            env=self.environment(),
            timeout=LIMIT_S,
            check=False,
        )
        return Said(done.returncode, done.stdout.decode(), done.stderr.decode())

    def good(self, *arguments: str, stdin: str | bytes = "") -> Said:
        """Run to the end; it must succeed and say nothing on standard error."""
        said = self(*arguments, stdin=stdin)
        assert (said.code, said.err) == (0, ""), said
        return said

    def start(self, *arguments: str) -> "Running":
        """Start, to be stopped later."""
        return Running(
            subprocess.Popen(
                [sys.executable, "-u", "-m", "rota", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self.environment(),
                text=True,
            )
        )


class Running:
    """A command that runs until it is told to stop; a context manager that leaves nothing behind."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def next_err(self) -> str:
        """The next line on standard error."""
        assert self.process.stderr is not None
        return self.process.stderr.readline().rstrip("\n")

    def next_out(self) -> str:
        """The next line on standard output."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def stop(self, number: signal.Signals = signal.SIGINT) -> Said:
        """Send the signal and wait for the end."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=LIMIT_S)
        return Said(self.process.returncode, out, err)
