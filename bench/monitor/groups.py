"""Groups of which nobody is a member, that have committed in every partition of one topic, on a broker of their own."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from bench.servers import new_server
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from tests.kafka.ports import PATIENCE_S, wait_until

from rota.admin import Admin, scan
from rota.admin.changes import alter_offsets
from rota.model import TopicPartition
from rota.monitor.facts import Commit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rota.admin.talk import Talk

__all__ = ["PARTITIONS", "TOPIC", "broker_with"]

TOPIC = "lagging"
PARTITIONS = 100
_AT_ONCE = 100


@contextmanager
def broker_with(kind: str, directory: Path, groups: int, partitions: int = PARTITIONS) -> Iterator[str]:
    """The address of a broker (``rota`` or ``kafka``) with so many groups, each with a commit in every partition."""
    server = new_server(kind, directory / f"{kind}-{groups}")
    server.start()
    try:
        bootstrap = server.bootstrap_servers
        client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        client.create_topics([NewTopic(TOPIC, partitions, 1)])[TOPIC].result(PATIENCE_S)
        with Admin(bootstrap, timeout_s=PATIENCE_S) as admin:
            _commit(admin, groups, partitions)
            wait_until("all groups are there", lambda: len(scan(admin).commits) == groups)
        yield bootstrap
    finally:
        server.stop()


def _commit(admin: Admin, groups: int, partitions: int) -> None:
    offsets = {TopicPartition(TOPIC, number): Commit(0, 0) for number in range(partitions)}

    async def some(talk: Talk, first: int) -> None:
        names = [f"group-{number:05d}" for number in range(first, min(first + _AT_ONCE, groups))]
        answers = await asyncio.gather(
            *(alter_offsets(talk.brokers, name, offsets, PATIENCE_S) for name in names)
        )
        failed = [each for answer in answers for each in answer.values() if each is not None]
        assert not failed, failed[0]

    for first in range(0, groups, _AT_ONCE):
        admin.run(partial(some, first=first), "commit")
