"""A real Apache Kafka: one KRaft node (broker and controller) on loopback, in a directory of its own."""

import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path

from tests.children import ServerProcess, ending_with_parent
from tests.kafka.jars import class_path, java
from tests.kafka.ports import PATIENCE_S, free_ports, listening

LOG4J = Path(__file__).with_name("log4j2.properties")
QUICK_JVM = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")


class RealKafka(ServerProcess):
    """Context manager: formats the storage, starts the node, waits until a client can list topics, stops it.

    `config` holds broker settings under Kafka's names and wins over the defaults below. `data_dir` keeps the
    data; without it everything lies in a temporary directory that goes when the broker stops. The start is
    repeated on other ports should another process have taken one in between.
    """

    kind = "kafka"

    def __init__(
        self,
        config: Mapping[str, str] | None = None,
        data_dir: Path | None = None,
        *,
        jvm: tuple[str, ...] = ("-Xmx512m",),
        ports: tuple[int, int] = (0, 0),
        cluster_id: str = "",
    ) -> None:
        super().__init__(config, data_dir)
        self._jvm = jvm
        self._properties = self.directory / "server.properties"
        self.port, self._controller_port = ports
        self._cluster_id = cluster_id or new_cluster_id()

    def start(self) -> None:
        """Start (or start again, on the same port and data); returns when a client is answered."""
        for attempt in range(3):
            self.prepare()
            self.spawn()
            try:
                self._wait_ready()
            except PortTakenError:
                self.stop()
                self.port = 0
                if attempt == 2:
                    raise
            except BaseException:
                self.stop()
                raise
            else:
                return

    def prepare(self) -> None:
        """Choose ports, write the settings, and format the storage if it is new."""
        if not self.port:
            self.port, self._controller_port = free_ports(2)
        self.bootstrap_servers = f"127.0.0.1:{self.port}"
        self.directory.mkdir(parents=True, exist_ok=True)
        settings = self._defaults() | self.config
        self._properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        if not (self.data_dir / "meta.properties").exists():
            self.format()

    def spawn(self) -> None:
        """Start the JVM on prepared storage, without waiting for it."""
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                ending_with_parent(
                    self._java(*self._jvm, "-Drota.log.level=INFO", "kafka.Kafka", str(self._properties))
                ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def format(self) -> None:
        """Write the storage's identity, as `kafka-storage format` does."""
        tool = [*QUICK_JVM, "kafka.tools.StorageTool", "format"]
        subprocess.run(
            self._java(*tool, "-t", self._cluster_id, "-c", str(self._properties)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=PATIENCE_S,
        )

    def wait_listening(self) -> None:
        """Return as soon as the node listens for clients."""
        deadline = time.monotonic() + PATIENCE_S
        while not listening(self.port):
            self._check_alive()
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"Apache Kafka does not listen after {PATIENCE_S:g} s:\n{self._log_tail()}"
                )
            time.sleep(0.02)

    def _java(self, *arguments: str) -> list[str]:
        return [java(), f"-Dlog4j2.configurationFile={LOG4J}", "-cp", class_path(), *arguments]

    def _wait_ready(self) -> None:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        deadline = time.monotonic() + PATIENCE_S
        self.wait_listening()
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        while True:
            try:
                if admin.list_topics(timeout=5).brokers:
                    return
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
            self._check_alive()

    def _check_alive(self) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            return
        tail = self._log_tail()
        if "Address already in use" in tail:
            raise PortTakenError(tail)
        raise RuntimeError(f"Apache Kafka ended with status {self.process.returncode}:\n{tail}")

    def _log_tail(self) -> str:
        return self.log_file.read_text(errors="replace")[-6000:] if self.log_file.exists() else ""

    def _defaults(self) -> dict[str, str]:
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self.data_dir),
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
        }


def new_cluster_id() -> str:
    """A random id, as Kafka writes it."""
    found = "-"
    while found.startswith("-"):  # the tool that formats would read it as an option
        found = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
    return found


class PortTakenError(Exception):
    """Another process took one of the chosen ports between the choice and the start."""
