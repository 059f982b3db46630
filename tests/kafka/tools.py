"""Apache Kafka's own command-line tools, run as Java programs against any broker."""

import subprocess
from pathlib import Path

from tests.kafka.jars import class_path, java
from tests.kafka.ports import PATIENCE_S
from tests.kafka.server import LOG4J, QUICK_JVM

MAINS = {
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-dump-log": "kafka.tools.DumpLogSegments",
    "kafka-verifiable-consumer": "org.apache.kafka.tools.VerifiableConsumer",
    "kafka-verifiable-producer": "org.apache.kafka.tools.VerifiableProducer",
    "kafka-cluster": "org.apache.kafka.tools.ClusterTool",
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-client-metrics": "org.apache.kafka.tools.ClientMetricsCommand",
    "kafka-consumer-perf-test": "org.apache.kafka.tools.ConsumerPerformance",
    "kafka-e2e-latency": "org.apache.kafka.tools.EndToEndLatency",
    "kafka-features": "org.apache.kafka.tools.FeatureCommand",
    "kafka-groups": "org.apache.kafka.tools.GroupsCommand",
    "kafka-leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "kafka-producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "kafka-reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "kafka-transactional-message-copier": "org.apache.kafka.tools.TransactionalMessageCopier",
    "kafka-transactions": "org.apache.kafka.tools.TransactionsCommand",
    "kafka-acls": "org.apache.kafka.tools.AclCommand",
    "kafka-share-groups": "org.apache.kafka.tools.consumer.group.ShareGroupCommand",
    "kafka-delegation-tokens": "org.apache.kafka.tools.DelegationTokenCommand",
}


def tool_command(name: str, *arguments: str | Path) -> list[str]:
    """The command line that runs the named tool with a JVM set for a quick start."""
    jvm = [java(), *QUICK_JVM, "-Xmx256m", f"-Dlog4j2.configurationFile={LOG4J}"]
    return [*jvm, "-cp", class_path(), MAINS[name], *map(str, arguments)]


class KafkaTools:
    """Runs tools against one broker; every call starts a JVM (about a second)."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers

    def __call__(
        self, name: str, *arguments: str | Path, stdin: str = "", timeout_s: float = PATIENCE_S
    ) -> str:
        """Standard output of the tool; an AssertionError with all it said if it fails."""
        done = subprocess.run(
            tool_command(name, *arguments, "--bootstrap-server", self.bootstrap_servers),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if done.returncode != 0:
            raise AssertionError(
                f"{name} {arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
            )
        return done.stdout


def offline_tool(name: str, *arguments: str | Path, timeout_s: float = PATIENCE_S) -> str:
    """Standard output of a tool that reads files rather than a broker."""
    done = subprocess.run(
        tool_command(name, *arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, f"{name} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def table(output: str) -> list[dict[str, str]]:
    """The rows of a tool's table, each by column name; the header is the first line that starts with GROUP
    or TOPIC.
    """
    lines = [line for line in output.splitlines() if line.strip()]
    start = next(i for i, line in enumerate(lines) if line.split()[0] in {"GROUP", "TOPIC"})
    names = lines[start].split()
    return [
        dict(zip(names, line.split(), strict=False))
        for line in lines[start + 1 :]
        if line.split()[0] != "GROUP"
    ]
