"""A session with Kafka's own tools at one broker, written down so that two brokers' answers can be compared."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.brokers import BrokerUnderTest
    from tests.clients.desk import Desk
    from tests.java.tools import JavaTools, Said

__all__ = ["Shell", "normal"]

# What is the broker's own: ids, places, times. Of errors that the broker sent the words are its own too.
_OWN = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<uuid>"),
    (re.compile(r"(TopicId: )\S{22}"), r"\1<topic id>"),
    (re.compile(r"(Cluster ?I[Dd]: *)\S{22}"), r"\1<cluster id>"),
    (re.compile(r"(org\.apache\.kafka\.common\.errors\.\w+): .*"), r"\1: <text>"),
    (re.compile(r"(Error while executing \w+ command ?: ).*"), r"\1<text>"),
    (re.compile(r"\b1[67]\d{11}\b"), "<time>"),
    (re.compile(r"(Epoch: )[1-9]\d*"), r"\1<epoch>"),
)
_TRACE = re.compile(r"\n(?:\tat |\t\.\.\. \d+ more).*")
# Where the broker's address stands; sub-commands of these take it last.
_ADDRESS_LAST = {"kafka-cluster"}


@dataclass(frozen=True, slots=True)
class Step:
    """One command and what it ended with."""

    line: str
    code: int
    out: str
    err: str


class Shell:
    """Runs commands; `{name}` in them is the scenario's own name, for its topics and groups."""

    def __init__(self, tools: JavaTools, broker: BrokerUnderTest, desk: Desk, name: str) -> None:
        self.name = name
        self.desk = desk
        self.broker = broker
        self.steps: list[Step] = []
        self._tools = tools

    def __call__(
        self, line: str, *, code: int = 0, stdin: str = "", anyhow: bool = False, hide: str = ""
    ) -> Said:
        """Run and write down. `anyhow`: the order of the lines is a hash table's. `hide`: a pattern that may differ."""
        said = self.quietly(line, stdin=stdin)
        out, err = (self._plain(text, hide) for text in (said.out, said.err))
        assert said.code == code, f"{line}\nended with {said.code}:\n{said.out}\n{said.err}"
        if anyhow:
            out, err = ("\n".join(sorted(text.splitlines())) for text in (out, err))
        self.steps.append(Step(line, said.code, out, err))
        return said

    def quietly(self, line: str, *, stdin: str = "") -> Said:
        """Run without writing it down."""
        tool, *words = shlex.split(line.replace("{name}", self.name))
        address = ["--bootstrap-server", self.broker.bootstrap_servers]
        words = [*words, *address] if tool in _ADDRESS_LAST else [*address, *words]
        return self._tools.run(tool, *words, stdin=stdin)

    def _plain(self, text: str, hide: str) -> str:
        text = normal(text, self.broker.bootstrap_servers)
        return re.sub(hide, "<hidden>", text) if hide else text


def normal(text: str, address: str) -> str:
    """A tool's words without what only one broker can say."""
    host, _, port = address.rpartition(":")
    text = text.replace(address, "<address>")
    text = re.sub(rf"({re.escape(host)}\s+){port}\b", r"\1<port>", text)
    for pattern, instead in _OWN:
        text = pattern.sub(instead, text)
    return _TRACE.sub("", text)
