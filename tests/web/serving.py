"""The web server for tests: with made-up views in a thread of this process, or as a user runs it in its own."""

from __future__ import annotations

import http.client
import json
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tests.children import ending_with_parent
from tests.kafka.ports import PATIENCE_S, free_ports, wait_until

from rota.web.app import Site, make_app
from rota.web.server import Server, listen

if TYPE_CHECKING:
    from pathlib import Path

    from tests.web.scenes import Stage

    from rota.web.changes import Changes

__all__ = ["Answer", "Events", "Here", "WebProcess", "ask"]


class Answer:
    """One answer, read to its end."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    port: int,
    path: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    host: str | None = None,
) -> Answer:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", f"127.0.0.1:{port}" if host is None else host)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        return Answer(connection.getresponse())
    finally:
        connection.close()


class Events:
    """A stream of server-sent events, read as it comes."""

    def __init__(
        self,
        port: int,
        group: str = "",
        last_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        said = {"Last-Event-ID": last_id} if last_id is not None else {}
        self._connection.request("GET", f"/api/events?group={group}", headers=said | dict(headers or {}))
        self.response = self._connection.getresponse()
        self.last_id = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def line(self) -> str:
        return self.response.readline().decode()

    def next(self) -> dict[str, Any]:
        """The next message."""
        while True:
            line = self.line()
            assert line, "the stream has ended"
            if line.startswith("id: "):
                self.last_id = line[4:].strip()
            if line.startswith("data: "):
                news: dict[str, Any] = json.loads(line[6:])
                return news


class Here:
    """A web server in a thread, with views that a test puts there. May be stopped and started on its port."""

    def __init__(
        self,
        stage: Stage,
        *,
        token: str | None = None,
        changes: Changes | None = None,
        hosts: tuple[str, ...] = (),
        interval_s: float = 1.0,
    ) -> None:
        self._stage = stage
        self._token = token
        self._changes = changes
        self._hosts = hosts
        self._interval_s = interval_s
        self.port = free_ports(1)[0]
        self.site: Site
        self._server: Server
        self._thread: threading.Thread

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.site = Site(
            self._stage,
            cluster="broker-1.example:9092",
            interval_s=self._interval_s,
            changes=self._changes,
        )
        app = make_app(self.site, token=self._token, hosts=self._hosts)
        listening = listen("127.0.0.1", self.port)
        self._server = Server(app, self.site.feed.close)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listening]}, daemon=True)
        self._thread.start()
        wait_until("the web server answers", lambda: self._server.started)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class WebProcess:
    """`rota web` in a process of its own."""

    def __init__(self, bootstrap_servers: str, *options: str, port: int = 0, cwd: Path | None = None) -> None:
        self._command = [sys.executable, "-m", "rota", "web", "-b", bootstrap_servers, "--interval", "0.5"]
        self._options = options
        self._cwd = cwd
        self.port = port
        self.address = ""
        self._process: subprocess.Popen[str]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start, or start again on the same port; returns when it is ready."""
        command = [*self._command, "--port", str(self.port), *self._options]
        self._process = subprocess.Popen(
            ending_with_parent(command), stdout=subprocess.PIPE, text=True, cwd=self._cwd
        )
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE_S)
        line = self._process.stdout.readline() if ready else ""
        found = re.fullmatch(r"rota web ready on (http://\S+:(\d+)\S*)\n", line)
        assert found is not None, line
        self.address, self.port = found[1], int(found[2])

    def stop(self) -> int:
        """As by Ctrl+C; its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            code = self._process.wait(PATIENCE_S)
        finally:
            self._process.kill()
            assert self._process.stdout is not None
            self._process.stdout.close()
        return code

    def kill(self) -> None:
        """Without a word to anybody."""
        self._process.kill()
        self._process.wait(PATIENCE_S)


def now_ms() -> int:
    return time.time_ns() // 1_000_000
