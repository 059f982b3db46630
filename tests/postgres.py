"""A real PostgreSQL for tests: a server of its own in a temporary directory, on a port that was free.

PostgreSQL does not run as root. Where the tests do, the server runs as `postgres`, which Debian's package makes, or
as `nobody`.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.children import ending_with_parent
from tests.kafka.ports import PATIENCE_S, free_ports, listening, wait_until

_DEBIAN = Path("/usr/lib/postgresql")
_QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}
"""What tests kill are its clients; the server itself never crashes here."""


class PostgresMissingError(Exception):
    """PostgreSQL cannot be run here; the message says what to install."""


def programs() -> Path:
    """The directory of `initdb` and `postgres`, of the newest version there is."""
    found = sorted(
        (path for path in _DEBIAN.glob("*/bin") if (path / "initdb").exists()),
        key=lambda path: [int(part) for part in path.parent.name.split(".")],
    )
    if found:
        return found[-1]
    elsewhere = shutil.which("initdb")
    if elsewhere is None:
        raise PostgresMissingError(
            "no PostgreSQL found: install its server, e.g. Debian's package postgresql"
        )
    return Path(elsewhere).resolve().parent


class Postgres:
    """Context manager: makes a cluster, starts the server, ends it. `address` is that of its first database."""

    def __init__(self) -> None:
        self._programs = programs()
        self._user = _user()
        self._directory = Path()
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    @property
    def address(self) -> str:
        return f"postgresql://rota@127.0.0.1:{self._port}/postgres"

    def __enter__(self) -> Self:
        self._directory = Path(tempfile.mkdtemp(prefix="rota-postgres-"))
        try:
            if self._user is not None:
                shutil.chown(self._directory, self._user)
            self._initdb()
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGINT)  # a fast shutdown: it does not wait for its clients
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(PATIENCE_S)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _initdb(self) -> None:
        options = ["--auth=trust", "--username=rota", "--encoding=UTF8", "--locale=C", "--no-sync"]
        subprocess.run(
            self._as_user([str(self._programs / "initdb"), *options, "-D", str(self._directory / "data")]),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            cwd=self._directory,
            timeout=PATIENCE_S,
        )

    def _start(self) -> None:
        for attempt in range(3):
            [self._port] = free_ports(1)
            settings = _QUICK | {"port": str(self._port), "listen_addresses": "127.0.0.1"}
            settings["unix_socket_directories"] = ""
            options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
            command = [str(self._programs / "postgres"), "-D", str(self._directory / "data"), *options]
            with (self._directory / "server.log").open("ab") as log:
                self._process = subprocess.Popen(
                    self._as_user(ending_with_parent(command)),  # a change of user forgets who the parent is
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self._directory,
                    start_new_session=True,
                )
            wait_until("PostgreSQL listens", lambda: listening(self._port) or self._has_ended())
            if not self._has_ended():
                wait_until("PostgreSQL answers", self._answers)
                return
            if attempt == 2:
                raise RuntimeError(
                    f"PostgreSQL ended:\n{(self._directory / 'server.log').read_text()[-4000:]}"
                )

    def _has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.address).close()
        except psycopg.OperationalError:
            return False
        return True

    def _as_user(self, command: list[str]) -> list[str]:
        if self._user is None:
            return command
        group = pwd.getpwnam(self._user).pw_gid
        return ["setpriv", "--reuid", self._user, "--regid", str(group), "--clear-groups", "--", *command]


def _user() -> str | None:
    """Who runs the server; None: whoever runs the tests."""
    if os.geteuid() != 0:
        return None
    if shutil.which("setpriv") is None:
        raise PostgresMissingError("PostgreSQL does not run as root, and there is no `setpriv` (util-linux)")
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"
