"""Topics, who leads their partitions, and settings: Metadata and DescribeConfigs."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64encode
from dataclasses import replace
from typing import TYPE_CHECKING

from rota.admin.asking import ask_in_chunks
from rota.admin.errors import ConnectionFailedError, error_of, no_answer, refusal
from rota.admin.routing import chunks
from rota.model import ErrorCode, KafkaError, RotaError, TopicPartition
from rota.monitor.facts import TopicFacts
from rota.wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResponse,
)
from rota.wire.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from rota.admin.connection import Connection
    from rota.admin.routing import Brokers
    from rota.wire.messages.metadata import MetadataResponseTopic

__all__ = ["BROKER", "GROUP", "TOPIC", "Topics", "broker_settings", "describe_topics", "read_configs"]

TOPICS_AT_ONCE = 500
RESOURCES_AT_ONCE = 500
TOPIC, BROKER, GROUP = 2, 4, 32
"""Kinds of resources that have settings."""

_NO_ID = bytes(16)


class Topics:
    """Topics as they were last seen, and so the leaders of their partitions."""

    def __init__(self, brokers: Brokers) -> None:
        self._brokers = brokers
        self._seen: dict[str, TopicFacts | KafkaError] = {}

    async def ask(self, names: Collection[str] | None) -> dict[str, TopicFacts | KafkaError]:
        """Each of these topics, or all there are (None), as a broker knows them now."""

        async def ask(connection: Connection) -> list[MetadataResponse]:
            requests = [
                MetadataRequest(
                    topics=None if each is None else [MetadataRequestTopic(name=name) for name in each],
                    allow_auto_topic_creation=False,
                )
                for each in ([None] if names is None else chunks(names, TOPICS_AT_ONCE))
            ]
            return await asyncio.gather(*(connection.ask(each, MetadataResponse) for each in requests))

        if names is not None and not names:
            return {}
        found: dict[str, TopicFacts | KafkaError] = {}
        for answer in await self._brokers.with_any(ask):
            self._brokers.keep(answer)
            for topic in answer.topics:
                if topic.name is not None:
                    found[topic.name] = error_of(topic.error_code) or _facts(topic)
        if names is None:
            self._seen.clear()
        self._seen |= found
        return found

    async def leaders(
        self, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, int | KafkaError | ConnectionFailedError]:
        """Who leads each of these partitions, asked for where it is not known."""
        known = {tp: self._leader(tp) for tp in partitions if self._is_known(tp)}
        unknown = {tp.topic for tp in partitions if tp not in known}
        if unknown:
            await self.ask(sorted(unknown))  # meanwhile a look may forget what it does not need
        return {tp: known[tp] if tp in known else self._leader(tp) for tp in partitions}

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """Ask anew who leads them when it is next needed."""
        for topic in {tp.topic for tp in partitions}:
            self._seen.pop(topic, None)

    def keep_only(self, names: Collection[str]) -> None:
        """Forget all others; who needs one asks anew."""
        self._seen = {name: self._seen[name] for name in names if name in self._seen}

    def topic_id(self, name: str) -> bytes:
        """The id of a topic that was seen; zeros where it has none."""
        found = self._seen.get(name)
        return read_id(found.topic_id) if isinstance(found, TopicFacts) else _NO_ID

    def _is_known(self, tp: TopicPartition) -> bool:
        found = self._seen.get(tp.topic)
        return isinstance(found, TopicFacts) and found.partitions.get(tp.partition) is not None

    def _leader(self, tp: TopicPartition) -> int | KafkaError:
        found = self._seen.get(tp.topic)
        if found is None or isinstance(found, KafkaError):
            return found or KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        if tp.partition not in found.partitions:
            words = f"topic {tp.topic} has {len(found.partitions)} partitions, of which it is none"
            return KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, words)
        leader = found.partitions[tp.partition]
        return KafkaError(ErrorCode.LEADER_NOT_AVAILABLE) if leader is None else leader


async def describe_topics(
    brokers: Brokers, topics: Topics, names: Collection[str] | None, configs: Collection[str]
) -> dict[str, TopicFacts | RotaError]:
    """Each of these topics, or all there are (None), by name; with these of its settings."""
    answers = await topics.ask(names)
    found: dict[str, TopicFacts | RotaError] = {
        name: refusal(each, f"describe topic {name}") if isinstance(each, KafkaError) else each
        for name, each in sorted(answers.items())
    }
    known = [name for name, each in found.items() if not isinstance(each, RotaError)]
    if configs and known:
        values = await brokers.with_any(lambda c: read_configs(c, TOPIC, known, configs))
        for name in known:
            facts, settings = found[name], values.get(name)
            if not isinstance(facts, RotaError) and isinstance(settings, dict):
                found[name] = replace(facts, configs=settings)
    return found


def _facts(topic: MetadataResponseTopic) -> TopicFacts:
    assert topic.name is not None
    parts = sorted(topic.partitions, key=lambda part: part.partition_index)
    return TopicFacts(
        name=topic.name,
        topic_id="" if topic.topic_id == _NO_ID else write_id(topic.topic_id),
        partitions={part.partition_index: part.leader_id if part.leader_id >= 0 else None for part in parts},
        replicas={part.partition_index: tuple(part.replica_nodes) for part in parts},
        in_sync={part.partition_index: tuple(part.isr_nodes) for part in parts},
        internal=topic.is_internal,
    )


def write_id(topic_id: bytes) -> str:
    """A topic's id as Kafka's tools print it."""
    return urlsafe_b64encode(topic_id).rstrip(b"=").decode()


def read_id(text: str) -> bytes:
    """The bytes of such an id."""
    from base64 import urlsafe_b64decode

    return urlsafe_b64decode(text + "==") if text else _NO_ID


async def read_configs(
    connection: Connection, kind: int, names: Collection[str], wanted: Collection[str]
) -> dict[str, dict[str, str] | RotaError]:
    """The named settings (all, if none are named) of topics, brokers or groups; a secret one is left out."""
    keys = sorted(wanted) or None
    return await ask_in_chunks(
        names, RESOURCES_AT_ONCE, lambda each: _configs_of(connection, kind, each, keys)
    )


async def _configs_of(
    connection: Connection, kind: int, names: list[str], keys: list[str] | None
) -> dict[str, dict[str, str] | RotaError]:
    resources = [
        DescribeConfigsResource(resource_type=kind, resource_name=name, configuration_keys=keys)
        for name in names
    ]
    answer = await connection.ask(DescribeConfigsRequest(resources=resources), DescribeConfigsResponse)
    found: dict[str, dict[str, str] | RotaError] = {}
    what = {TOPIC: "topic", BROKER: "broker"}.get(kind, "group")
    for each in answer.results:
        error = error_of(each.error_code, each.error_message)
        found[each.resource_name] = (
            {entry.name: entry.value or "" for entry in each.configs if not entry.is_sensitive}
            if error is None
            else refusal(error, f"read the settings of {what} {each.resource_name}")
        )
    return found


async def broker_settings(
    brokers: Brokers, wanted: Collection[int] | None, names: Collection[str], timeout_s: float
) -> dict[int, dict[str, str] | RotaError]:
    """The named settings of these brokers, or of all; each tells its own."""
    await brokers.learn_nodes()

    async def ask(number: int) -> dict[str, str] | RotaError:
        try:
            async with asyncio.timeout(timeout_s):
                found = await read_configs(await brokers.node(number), BROKER, [str(number)], names)
        except (KafkaError, ConnectionFailedError) as error:
            return refusal(error, f"read the settings of broker {number}")
        except TimeoutError:
            return no_answer(f"read the settings of broker {number}", timeout_s, None)
        return found.get(str(number), {})

    numbers = sorted(brokers.nodes if wanted is None else wanted)
    return dict(zip(numbers, await asyncio.gather(*map(ask, numbers)), strict=True))
