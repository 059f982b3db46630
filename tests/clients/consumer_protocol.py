"""Members that use the consumer protocol (KIP-848): librdkafka's, and Kafka's own Java consumer."""

from pathlib import Path
from typing import Any

from tests.clients.confluent_member import ConfluentMember
from tests.clients.process import JavaMember
from tests.kafka.tools import tool_command

# What only the classic protocol knows: the coordinator decides about it now.
_CLASSIC_ONLY = ("partition.assignment.strategy", "session.timeout.ms", "heartbeat.interval.ms")


class ConfluentConsumerMember(ConfluentMember):
    """`strategy` is the name of a server-side assignor; "range" is the default of all tests."""

    def settings(self) -> dict[str, Any]:
        settings = super().settings()
        for name in _CLASSIC_ONLY:
            del settings[name]
        return settings | {"group.protocol": "consumer", "group.remote.assignor": self.config.strategy}


class JavaConsumerMember(JavaMember):
    """kafka-verifiable-consumer."""

    def command(self) -> list[str]:
        config = self.config
        properties = Path(self.scratch.name) / "consumer.properties"
        properties.write_text(
            f"client.id={config.client_id}\n"
            f"max.poll.interval.ms={config.max_poll_interval_ms}\n"
            f"metadata.max.age.ms={config.metadata_max_age_ms}\n"
            f"auto.commit.interval.ms={config.auto_commit_ms or 5000}\n"
        )
        arguments = ["--bootstrap-server", config.bootstrap_servers, "--group-id", config.group]
        arguments += ["--topic", config.topics[0], "--verbose", "--consumer.config", str(properties)]
        arguments += ["--group-protocol", "consumer", "--group-remote-assignor", config.strategy]
        if config.instance_id is not None:
            arguments += ["--group-instance-id", config.instance_id]
        if config.auto_commit_ms:
            arguments += ["--enable-autocommit"]
        return tool_command("kafka-verifiable-consumer", *arguments)
