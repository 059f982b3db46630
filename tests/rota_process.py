"""Rota's broker as a user runs it: the `rota broker` command in a process of its own."""

import os
import select
import subprocess
import sys
import time

from tests.children import ServerProcess, ending_with_parent
from tests.kafka.ports import PATIENCE_S

READY = "rota broker ready on "


class RotaBroker(ServerProcess):
    """Context manager with the methods of `RealKafka`; restarts come back on the same port with the same
    data.
    """

    kind = "rota"
    program = "rota"
    """The module that is run."""

    def start(self) -> None:
        """Start, or start again; returns when the broker says that it is ready."""
        self.spawn()
        self.wait_ready()

    def spawn(self) -> None:
        """Start the process without waiting for it."""
        self.directory.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            "-m",
            self.program,
            "broker",
            "--port",
            str(self.port),
            "--data",
            str(self.data_dir),
        ]
        for key, value in self.config.items():
            command += ["--config", f"{key}={value}"]
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                ending_with_parent(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )

    def wait_ready(self) -> None:
        """Read the ready line, and with it the port."""
        assert self.process is not None
        assert self.process.stdout is not None
        output = self.process.stdout.fileno()
        os.set_blocking(output, False)
        said = b""
        deadline = time.monotonic() + PATIENCE_S
        while b"\n" not in said.partition(READY.encode())[2]:
            ready, _, _ = select.select([output], [], [], max(0.0, deadline - time.monotonic()))
            part = os.read(output, 4096) if ready else b""
            if not part:
                self.stop()
                log = self.log_file.read_text(errors="replace")[-4000:]
                raise RuntimeError(f"rota broker did not become ready; it said:\n{said.decode()}\n{log}")
            said += part
        address = said.decode().partition(READY)[2].split()[0]
        self.bootstrap_servers = address
        self.port = int(address.rpartition(":")[2])
