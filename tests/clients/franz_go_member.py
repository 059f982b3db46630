"""franz-go, the Go client, through the program in `tests/go`: a member in a process, and its admin client."""

import itertools
import json
import subprocess
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import asdict
from typing import Any

from tests.clients.member import MemberConfig, Steered
from tests.clients.process import ProcessMember
from tests.go.program import franz_go


class FranzGoMember(ProcessMember, Steered):
    """Commands go to its standard input; it leaves when that ends, as at the end of a killed test run."""

    def __init__(self, config: MemberConfig) -> None:
        super().__init__(config)
        self._replies: dict[int, Future[None]] = {}
        self._numbers = itertools.count(1)

    def command(self) -> list[str]:
        return [str(franz_go()), "member", json.dumps(asdict(self.config))]

    def on_line(self, line: dict[str, Any]) -> None:
        if "reply" in line:
            self._replies.pop(line["reply"]).set_result(None)
        else:
            super().on_line(line)

    def seek(self, topic: str, partition: int, offset: int) -> None:
        self._do(do="seek", topic=topic, partition=partition, offset=offset)

    def subscribe_to(self, topics: Sequence[str]) -> None:
        self._do(do="subscribe", topics=list(topics))

    def hold(self) -> None:
        """Let the member be stuck in the next records that it reads ("held"), and so in any rebalance."""
        self._do(do="hold")

    def release(self) -> None:
        self._do(do="release")

    def _do(self, **command: object) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        number, reply = next(self._numbers), Future[None]()
        self._replies[number] = reply
        self.process.stdin.write(json.dumps({"id": number, **command}) + "\n")
        self.process.stdin.flush()
        reply.result(30)


class FranzGoError(Exception):
    """What Kafka answered, by its name there."""


def ask_franz_go(bootstrap_servers: str, do: str, **question: object) -> Any:
    """The answer of franz-go's admin client or producer; `tests/go/ask.go` says to what."""
    asked = json.dumps({"bootstrap_servers": bootstrap_servers, "do": do, **question})
    done = subprocess.run(
        [str(franz_go()), "ask", asked],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"franz-go could not {do}:\n{done.stderr}"
    answer = json.loads(done.stdout)
    if "error" in answer:
        raise FranzGoError(answer["error"])
    return answer["answer"]
