"""Kafka's command-line tools in one Java process, through ToolsHarness.java, which describes the lines exchanged."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.children import ending_with_parent
from tests.kafka.jars import class_path, java
from tests.kafka.ports import PATIENCE_S
from tests.kafka.server import LOG4J, QUICK_JVM
from tests.kafka.tools import MAINS

if TYPE_CHECKING:
    from types import TracebackType

HARNESS = Path(__file__).with_name("ToolsHarness.java")


@dataclass(frozen=True, slots=True)
class Said:
    """What a tool ended with and printed."""

    code: int
    out: str
    err: str


class JavaTools:
    """A Java process that runs tools in turn; a context manager. `KafkaMissingError` if they are missing."""

    def __enter__(self) -> Self:
        # Tools warn of what their user cannot mend (a config that they do not know); only errors are of interest.
        jvm = [*QUICK_JVM, "-Xmx384m", f"-Dlog4j2.configurationFile={LOG4J}", "-Drota.log.level=OFF"]
        self.process = subprocess.Popen(
            ending_with_parent([java(), *jvm, "-cp", class_path(), str(HARNESS)]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.stdin.close()  # type: ignore[union-attr]
        self.process.stdout.close()  # type: ignore[union-attr]
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:  # a tool left a thread behind
            self.process.kill()
            self.process.wait(PATIENCE_S)

    def run(self, tool: str, *arguments: str, stdin: str = "") -> Said:
        """Run one tool of `tests.kafka.tools.MAINS` to its end."""
        request = {"main": MAINS[tool], "arguments": arguments, "stdin": stdin}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the harness ended while it ran {tool} {' '.join(arguments)}"
        return Said(**json.loads(line))
