"""Members that are processes: Python clients (so that they can be killed with -9), Kafka's own Java consumer
and, in a module of its own, franz-go.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from abc import abstractmethod
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.children import ending_with_parent
from tests.clients.member import Member, MemberConfig, Partition, Record
from tests.kafka.ports import PATIENCE_S
from tests.kafka.tools import tool_command

_ROOT = Path(__file__).parents[2]

JAVA_STRATEGIES = {
    "range": "org.apache.kafka.clients.consumer.RangeAssignor",
    "roundrobin": "org.apache.kafka.clients.consumer.RoundRobinAssignor",
    "sticky": "org.apache.kafka.clients.consumer.StickyAssignor",
    "cooperative-sticky": "org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
}


class ProcessMember(Member):
    """Reads one JSON object a line from the program's standard output."""

    def __init__(self, config: MemberConfig) -> None:
        super().__init__(config)
        self.process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self.scratch = tempfile.TemporaryDirectory(prefix="rota-member-")

    @abstractmethod
    def command(self) -> list[str]: ...

    def on_line(self, line: dict[str, Any]) -> None:
        """A record or an event, as `tests.clients.main` prints them."""
        if "record" in line:
            topic, partition, offset, *texts = line["record"]
            self.records.append(Record(topic, partition, offset, *map(_bytes, texts)))
            return
        partitions = frozenset((topic, partition) for topic, partition in line["partitions"])
        if line["kind"] == "assigned":
            self.on_assigned(partitions)
        elif line["kind"] in {"revoked", "lost"}:
            self.on_revoked(partitions, line["kind"])
        else:
            self.note(line["kind"], line["detail"])

    def start(self) -> None:
        with (Path(self.scratch.name) / "stderr").open("wb") as errors:
            self.process = subprocess.Popen(
                ending_with_parent(self.command()),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=_ROOT,
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, name=self.name, daemon=True)
        self._reader.start()

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9: the client has no chance to say goodbye."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """SIGSTOP: the process lives but neither polls nor heartbeats."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def _end(self, how: signal.Signals) -> None:
        assert self.process is not None
        assert self._reader is not None
        if self.process.poll() is None:
            os.kill(self.process.pid, how)
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.scratch.cleanup()

    def _read(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                if line.startswith("{"):
                    self.on_line(json.loads(line))
        self.note("closed")


class PythonProcessMember(ProcessMember):
    """The same Python members as in threads, each in a process of its own (`tests.clients.main`)."""

    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.clients.main", json.dumps(asdict(self.config))]


class JavaMember(ProcessMember):
    """Kafka's VerifiableConsumer: commits synchronously after each poll unless auto-commit is on."""

    def command(self) -> list[str]:
        config = self.config
        properties = Path(self.scratch.name) / "consumer.properties"
        properties.write_text(
            f"client.id={config.client_id}\n"
            f"heartbeat.interval.ms={config.heartbeat_interval_ms}\n"
            f"max.poll.interval.ms={config.max_poll_interval_ms}\n"
            f"metadata.max.age.ms={config.metadata_max_age_ms}\n"
            f"auto.commit.interval.ms={config.auto_commit_ms or 5000}\n"
        )
        arguments = ["--bootstrap-server", config.bootstrap_servers, "--group-id", config.group]
        arguments += ["--topic", config.topics[0], "--session-timeout", str(config.session_timeout_ms)]
        arguments += ["--assignment-strategy", JAVA_STRATEGIES[config.strategy], "--verbose"]
        arguments += ["--consumer.config", str(properties)]
        if config.instance_id is not None:
            arguments += ["--group-instance-id", config.instance_id]
        if config.auto_commit_ms:
            arguments += ["--enable-autocommit"]
        return tool_command("kafka-verifiable-consumer", *arguments)

    def on_line(self, line: dict[str, Any]) -> None:
        match line["name"]:
            case "partitions_assigned":
                self.on_assigned(map(_partition, line["partitions"]))
            case "partitions_revoked":
                self.on_revoked(map(_partition, line["partitions"]))
            case "record_data":
                self.records.append(
                    Record(
                        line["topic"],
                        line["partition"],
                        line["offset"],
                        _bytes(line["key"]),
                        _bytes(line["value"]),
                    )
                )
            case "offsets_committed":
                self.note("committed" if line["success"] else "error", line.get("error", ""))


def _partition(item: dict[str, Any]) -> Partition:
    return item["topic"], item["partition"]


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode()
