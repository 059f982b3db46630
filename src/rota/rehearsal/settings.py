"""What a lab is made of, and what it changes of Kafka's defaults so that a lesson is short."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ASSIGNORS",
    "KINDS",
    "MARK",
    "MOST_CONSUMERS",
    "MOST_DELAY_MS",
    "SERVER_ASSIGNORS",
    "STORIES",
    "Change",
    "LabSettings",
]

ASSIGNORS = ("range", "roundrobin", "cooperative-sticky")
"""The strategies that confluent-kafka's client offers; the first two are eager."""

SERVER_ASSIGNORS = ("uniform", "range")
"""The strategies of the coordinator, for ``group.protocol=consumer``."""

KINDS = ("rota", "loop")
"""What a consumer is: a handler on `rota.consumer`, or a poll loop of its own."""

MARK = "made by rota lab"
"""The metadata of offsets that the lab commits: how a later lab knows a group as a lab's own."""

MOST_CONSUMERS = 9
"""One digit names each of them."""

KAFKA_SESSION_TIMEOUT_MS = 45_000
KAFKA_HEARTBEAT_INTERVAL_MS = 3_000
KAFKA_CONSUMER_HEARTBEAT_INTERVAL_MS = 5_000
KAFKA_INITIAL_DELAY_MS = 3_000
KAFKA_AUTO_COMMIT_INTERVAL_MS = 5_000
KAFKA_LEAST_SESSION_TIMEOUT_MS = 6_000

KAFKA_MAX_POLL_INTERVAL_MS = 300_000
CLIENT_METADATA_REFRESH_MS = 300_000

LESSON_INITIAL_DELAY_MS = 500
LESSON_MAX_POLL_INTERVAL_MS = 10_000
LESSON_METADATA_REFRESH_MS = 2_000

MOST_DELAY_MS = 60_000.0
"""What a handler may take for one record."""

STORIES = ("script", "rolling-restart")


class Change(NamedTuple):
    """One setting that is not Kafka's default."""

    name: str
    value: str
    default: str

    def __str__(self) -> str:
        return f"{self.name} {self.value} (Kafka's default: {self.default})"


@dataclass(frozen=True, slots=True)
class LabSettings:
    """``bootstrap`` None: an embedded broker of its own. Times are milliseconds where their name says so."""

    consumers: int = 3
    partitions: int = 3
    rate: float = 30.0
    topic: str = "web-events-partitioned"
    group: str = "web-events-group"
    protocol: str = "classic"
    """Or ``consumer``: that of KIP-848, in which the coordinator assigns and sets the timeouts."""
    assignor: str = "range"
    static: bool = False
    story: str = "script"
    session_timeout_ms: int = 6_000
    wanted_heartbeat_ms: int | None = None
    """None: `heartbeat_interval_ms` chooses."""
    wanted_max_poll_ms: int | None = None
    """None: `max_poll_interval_ms` chooses."""
    kind: str = "rota"
    commit: str = "manual"
    """Or ``auto``: the client commits by itself what it has handed out; poll loops only."""
    commit_interval_ms: int = 500
    auto_commit_interval_ms: int = KAFKA_AUTO_COMMIT_INTERVAL_MS
    handler_delay_ms: float = 10.0
    seed: int = 0
    users: int = 100
    skew: float = 0.0
    duration_s: float | None = None
    bootstrap: str | None = None
    keep: bool = False
    client_properties: Mapping[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse what cannot work, in one line that says what would."""
        if not 1 <= self.consumers <= MOST_CONSUMERS:
            raise RotaError(f"--consumers goes from 1 to {MOST_CONSUMERS}, not {self.consumers}", exit_code=2)
        known = SERVER_ASSIGNORS if self.server_side else ASSIGNORS
        if self.assignor not in known:
            raise RotaError(
                f"with --group-protocol {self.protocol} --assignor is one of {', '.join(known)}, not {self.assignor}",
                exit_code=2,
            )
        if self.kind not in KINDS:
            raise RotaError(f"--kind is one of {', '.join(KINDS)}, not {self.kind}", exit_code=2)
        if self.kind == "rota" and self.commit == "auto":
            raise RotaError(
                "--commit auto is for --kind loop: consumers on rota.consumer commit what is done",
                exit_code=2,
            )
        for option, name in (("--topic", self.topic), ("--group", self.group)):
            if not name.strip():
                raise RotaError(f"{option} wants a name, not {name!r}", exit_code=2)
        for option, number in (("--rate", self.rate), ("--handler", self.handler_delay_ms)):
            if not math.isfinite(number) or number < 0:
                raise RotaError(f"{option} wants a number from 0 on, not {number}", exit_code=2)
        if not self.server_side and self.max_poll_interval_ms < self.session_timeout_ms:
            raise RotaError(
                f"--max-poll-interval {self.max_poll_interval_ms} is less than --session-timeout "
                f"{self.session_timeout_ms}: the client refuses that",
                exit_code=2,
            )
        if self.server_side and self.bootstrap is not None and self.wanted_heartbeat_ms is not None:
            raise RotaError(
                "with --group-protocol consumer the heartbeat interval is the cluster's "
                "(group.consumer.heartbeat.interval.ms); --heartbeat-interval is for the lab's own broker",
                exit_code=2,
            )
        if self.session_timeout_ms < 1_000:
            raise RotaError(
                f"--session-timeout {self.session_timeout_ms} is in milliseconds and at least 1000",
                exit_code=2,
            )

    @property
    def kind_words(self) -> str:
        """What commits, for the head of a screen."""
        return "rota.consumer" if self.kind == "rota" else f"poll loops, {self.commit} commit"

    @property
    def server_side(self) -> bool:
        """Whether the group is one of KIP-848."""
        return self.protocol == "consumer"

    @property
    def commits_ms(self) -> int:
        """How often a consumer commits, whoever does it for it."""
        return self.auto_commit_interval_ms if self.commit == "auto" else self.commit_interval_ms

    @property
    def generation_word(self) -> str:
        """What the protocol calls the number that grows with every rebalance."""
        return "group epoch" if self.server_side else "generation"

    @property
    def session_timeout_name(self) -> str:
        """The setting that ``session_timeout_ms`` is of."""
        return "group.consumer.session.timeout.ms" if self.server_side else "session.timeout.ms"

    @property
    def heartbeat_interval_ms(self) -> int:
        """As wanted; else a third of the session timeout, as Kafka advises, but no more than its default."""
        return self.wanted_heartbeat_ms or min(self._usual_heartbeat_ms, self.session_timeout_ms // 3)

    @property
    def max_poll_interval_ms(self) -> int:
        """As wanted; else short enough for a lesson. Clients want it no shorter than the session timeout."""
        return self.wanted_max_poll_ms or max(LESSON_MAX_POLL_INTERVAL_MS, self.session_timeout_ms)

    @property
    def _usual_heartbeat_ms(self) -> int:
        return KAFKA_CONSUMER_HEARTBEAT_INTERVAL_MS if self.server_side else KAFKA_HEARTBEAT_INTERVAL_MS

    def changes(self) -> list[Change]:
        """What a person has to know to compare what they see with a real cluster."""
        # Of a consumer group they are the coordinator's; where that is somebody else's they are left as they are.
        prefix = "group.consumer." if self.server_side else ""
        found = [
            Change(
                f"{prefix}session.timeout.ms", str(self.session_timeout_ms), str(KAFKA_SESSION_TIMEOUT_MS)
            ),
            Change(
                f"{prefix}heartbeat.interval.ms",
                str(self.heartbeat_interval_ms),
                str(self._usual_heartbeat_ms),
            ),
        ]
        if self.server_side and self.bootstrap is not None:
            found = []
        poll_ms, refresh_ms = str(self.max_poll_interval_ms), str(LESSON_METADATA_REFRESH_MS)
        found += [
            Change("max.poll.interval.ms", poll_ms, str(KAFKA_MAX_POLL_INTERVAL_MS)),
            Change("topic.metadata.refresh.interval.ms", refresh_ms, str(CLIENT_METADATA_REFRESH_MS)),
        ]
        if self.bootstrap is None and not self.server_side:
            found.append(
                Change(
                    "group.initial.rebalance.delay.ms",
                    str(LESSON_INITIAL_DELAY_MS),
                    str(KAFKA_INITIAL_DELAY_MS),
                )
            )
        if self.commit == "auto":
            found.append(
                Change(
                    "auto.commit.interval.ms",
                    str(self.auto_commit_interval_ms),
                    str(KAFKA_AUTO_COMMIT_INTERVAL_MS),
                )
            )
        return [change for change in found if change.value != change.default]

    def broker_configs(self) -> dict[str, str]:
        """For the embedded broker."""
        if self.server_side:
            prefix, session, heartbeat = "group.consumer", self.session_timeout_ms, self.heartbeat_interval_ms
            return {
                f"{prefix}.min.session.timeout.ms": str(session),
                f"{prefix}.session.timeout.ms": str(session),
                f"{prefix}.max.session.timeout.ms": str(max(session, 60_000)),
                f"{prefix}.min.heartbeat.interval.ms": str(heartbeat),
                f"{prefix}.heartbeat.interval.ms": str(heartbeat),
                "auto.create.topics.enable": "false",
            }
        return {
            "group.initial.rebalance.delay.ms": str(LESSON_INITIAL_DELAY_MS),
            "group.min.session.timeout.ms": str(min(KAFKA_LEAST_SESSION_TIMEOUT_MS, self.session_timeout_ms)),
            "auto.create.topics.enable": "false",
        }

    def consumer_properties(self, name: str, bootstrap: str) -> dict[str, str]:
        """Of one consumer, in librdkafka's names."""
        properties = {
            **self.client_properties,
            "bootstrap.servers": bootstrap,
            "client.id": name,
            "group.id": self.group,
            **self._group_properties(),
            "auto.offset.reset": "earliest",
            "max.poll.interval.ms": str(self.max_poll_interval_ms),
            "topic.metadata.refresh.interval.ms": str(LESSON_METADATA_REFRESH_MS),
            # librdkafka's default of a second holds a quick consumer back to a sixth of its speed.
            "fetch.queue.backoff.ms": "10",
        }
        if self.kind == "loop":
            properties["enable.auto.commit"] = str(self.commit == "auto").lower()
            properties["auto.commit.interval.ms"] = str(self.auto_commit_interval_ms)
        if self.static:
            properties["group.instance.id"] = name
        return properties

    def _group_properties(self) -> dict[str, str]:
        if self.server_side:
            return {"group.protocol": "consumer", "group.remote.assignor": self.assignor}
        return {
            "partition.assignment.strategy": self.assignor,
            "session.timeout.ms": str(self.session_timeout_ms),
            "heartbeat.interval.ms": str(self.heartbeat_interval_ms),
        }

    def producer_properties(self, bootstrap: str) -> dict[str, str]:
        """Of the producer: every record acknowledged, none twice, keys placed as Java places them."""
        return {
            **self.client_properties,
            "bootstrap.servers": bootstrap,
            "client.id": "producer",
            "partitioner": "murmur2_random",
            "topic.metadata.refresh.interval.ms": str(LESSON_METADATA_REFRESH_MS),
            "enable.idempotence": "true",
            "linger.ms": "5",
        }
