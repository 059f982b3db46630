"""The broker is killed in the middle of transactions: each counts as a whole, with its offsets, or not at all."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.broker.raw import RawClient
from tests.broker.transactional_app import INPUT, OUTPUT, TransactionalApp, committed_offset, read_committed
from tests.rota_process import RotaBroker

from rota.wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
)

KILLS = 10
PARTITIONS = 3
# Many segments, and compaction of what the coordinators have written, all the time.
CONFIG = {
    "offsets.topic.segment.bytes": "4000",
    "transaction.state.log.segment.bytes": "4000",
    "offsets.topic.num.partitions": "3",
    "transaction.state.log.num.partitions": "3",
    "log.cleaner.backoff.ms": "20",
    "log.cleaner.min.cleanable.ratio": "0.01",
}


def _create_topics(address: str) -> None:
    small = CreatableTopicConfig(name="internal.segment.bytes", value="3000")
    wanted = [
        CreatableTopic(name=INPUT, num_partitions=1, replication_factor=1),
        CreatableTopic(name=OUTPUT, num_partitions=PARTITIONS, replication_factor=1, configs=[small]),
    ]
    with RawClient(address) as client:
        answer = client.call(CreateTopicsRequest(topics=wanted), 5, CreateTopicsResponse)
    assert not any(topic.error_code for topic in answer.topics)


def _run_until_killed(address: str, *, new_epochs: bool, seed: int, errors: list[BaseException]) -> None:
    try:
        with RawClient(address) as client:
            app = TransactionalApp(client, PARTITIONS, new_epochs=new_epochs, seed=seed)
            while True:
                app.step()
    except OSError:
        pass  # the broker was killed
    except BaseException as error:
        errors.append(error)


@pytest.mark.parametrize(
    ("new_epochs", "more"),
    [(False, {}), (True, {}), (True, {"log.flush.interval.messages": "1"})],
    ids=["old-epochs", "new-epochs", "synced"],
)
def test_transactions_are_whole_after_kill_9(
    tmp_path: Path, kills: Callable[[int], int], new_epochs: bool, more: dict[str, str]
) -> None:
    chance = random.Random(7)
    rounds = kills(KILLS)
    errors: list[BaseException] = []
    progress = []
    with RotaBroker({**CONFIG, **more}, tmp_path / "broker") as broker:
        _create_topics(broker.bootstrap_servers)
        for number in range(rounds):
            app = threading.Thread(
                target=_run_until_killed,
                args=(broker.bootstrap_servers,),
                kwargs={"new_epochs": new_epochs, "seed": number, "errors": errors},
            )
            app.start()
            time.sleep(0.2 + chance.random())
            broker.kill()
            app.join()
            assert not errors, errors
            broker.start()
            with RawClient(broker.bootstrap_servers) as client:
                committed = committed_offset(client)
                for partition in range(PARTITIONS):
                    assert read_committed(client, partition) == list(range(committed)), (number, partition)
            progress.append(committed)
    assert progress == sorted(progress)
    assert progress[-1] > rounds
