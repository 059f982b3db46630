"""The lab's whole script, which takes most of a minute: it plays while the other tests run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT_S = 150


class Script:
    """``rota lab`` without a terminal, in a directory of its own; its output goes to files, so nothing blocks it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "lab"
        self._output, self._story = directory / "stdout", directory / "stderr"
        self.directory.mkdir()
        command = [
            sys.executable,
            "-m",
            "rota",
            "lab",
            "--json",
            "--svg",
            "lab.svg",
            "--timeline",
            "lab.jsonl",
        ]
        with self._output.open("wb") as output, self._story.open("wb") as story:
            self.process = subprocess.Popen(
                command,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=story,
                env={**os.environ, "TMPDIR": str(self.directory)},
            )

    def finish(self) -> tuple[str, str]:
        """Wait for its end: what it wrote to stdout and to stderr."""
        self.process.wait(LIMIT_S)
        return self._output.read_text(), self._story.read_text()


@pytest.fixture(scope="session", autouse=True)
def script(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Script | None]:
    """The script, begun before the first test of this directory if any of them asks for it."""
    here = [item for item in request.session.items if Path(__file__).parent in item.path.parents]
    if not any("run" in getattr(item, "fixturenames", ()) for item in here):
        yield None
        return
    script = Script(tmp_path_factory.mktemp("script"))
    yield script
    if script.process.poll() is None:
        script.process.terminate()
        script.process.wait(LIMIT_S)
