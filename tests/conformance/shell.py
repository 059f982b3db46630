"""A session with Kafka's own tools at one broker, written down so that two brokers' answers can be compared."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from confluent_kafka import Producer
from tests.broker.raw import RawClient
from tests.broker.talk import Talk
from tests.kafka.ports import PATIENCE_S, wait_until

from rota.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResponse,
)
from rota.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from rota.wire.records import build_batch

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    (re.compile(r"(Epoch: )\d+"), r"\1<epoch>"),
)
_TRACE = re.compile(r"\n(?:\tat |\t\.\.\. \d+ more).*")
# Sub-commands of these take the broker's address after their name. A line with `<address>` says itself where it stands.
_CHANGES = {"--alter", "--create", "--delete", "--execute", "--add", "--cancel"}
_GROUP, _MARK = 32, "consumer.session.timeout.ms"
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
        self._changes = 0

    def __call__(
        self,
        line: str,
        *,
        code: int = 0,
        stdin: str = "",
        anyhow: bool = False,
        only: str = "",
        hide: str = "",
    ) -> Said:
        """Run and write down.

        `anyhow`: the order of the lines is a hash table's. `only`: of the lines those that hold this word, in any
        order. `hide`: a pattern that may differ.
        """
        said = self.quietly(line, stdin=stdin)
        assert said.code == code, f"{line}\nended with {said.code}:\n{said.out}\n{said.err}"
        out, err = (self._plain(text, hide) for text in (said.out, said.err))
        if anyhow or only:
            out, err = (
                "\n".join(sorted(" ".join(each.split()) for each in text.splitlines() if only in each))
                for text in (out, err)
            )
        self.steps.append(Step(re.sub(hide, "<hidden>", line) if hide else line, said.code, out, err))
        return said

    def quietly(self, line: str, *, stdin: str = "") -> Said:
        """Run without writing it down."""
        line = line.replace("{name}", self.name).replace("<address>", self.broker.bootstrap_servers)
        tool, *words = shlex.split(line)
        address = ["--bootstrap-server", self.broker.bootstrap_servers]
        if self.broker.bootstrap_servers not in line:
            words = [*words, *address] if tool in _ADDRESS_LAST else [*address, *words]
        said = self._tools.run(tool, *words, stdin=stdin)
        if _CHANGES & set(words):
            self._wait_until_seen()
        return said

    def _wait_until_seen(self) -> None:
        """Return when the broker has seen every change so far.

        Apache Kafka's controller answers before its brokers have read what it wrote. They read in order: one more
        change is made, and waited for.
        """
        self._changes += 1
        mark = str(45_000 + self._changes % 10_000)
        step = AlterableConfig(name=_MARK, config_operation=0, value=mark)
        resource = AlterConfigsResource(resource_type=_GROUP, resource_name="changes-seen", configs=[step])
        ask = DescribeConfigsRequest(
            resources=[
                DescribeConfigsResource(
                    resource_type=_GROUP, resource_name="changes-seen", configuration_keys=[_MARK]
                )
            ]
        )
        with RawClient(self.broker.bootstrap_servers) as client:
            done = client.call(
                IncrementalAlterConfigsRequest(resources=[resource]), 1, IncrementalAlterConfigsResponse
            )
            assert done.responses[0].error_code == 0, done
            wait_until(
                "the broker has seen a change",
                lambda: client.call(ask, 4, DescribeConfigsResponse).results[0].configs[0].value == mark,
            )

    def produce_at(self, topic: str, times: Iterable[int]) -> None:
        """A record in partition 0 for each time, in milliseconds; a topic for all times."""
        said = self.quietly(f"kafka-configs --alter --topic {topic} --add-config retention.ms=-1")
        assert said.code == 0, said
        batch = build_batch([(b"k", b"%d" % time, time, []) for time in times])
        with RawClient(self.broker.bootstrap_servers) as client:
            Talk(client, self.name, self.broker.bootstrap_servers).produce(topic, batch)

    def transaction(self, topic: str) -> None:
        """A transaction under the scenario's name, with one record, left open; its client is gone."""
        producer = Producer(
            {
                "bootstrap.servers": self.broker.bootstrap_servers,
                "transactional.id": self.name,
                "transaction.timeout.ms": 600_000,
                "log_level": 0,
            }
        )
        producer.init_transactions(PATIENCE_S)
        producer.begin_transaction()
        producer.produce(topic, b"v", partition=0)
        assert producer.flush(PATIENCE_S) == 0

    def note(self, line: str, said: Iterable[str]) -> None:
        """Write down what was picked out of a tool's words."""
        self.steps.append(Step(line, 0, self._plain("\n".join(said), ""), ""))

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
