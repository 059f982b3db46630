"""A broker for the tests of one file, and what they all say to it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest
from tests.broker.raw import RawClient

from rota.testing import Broker
from rota.wire.messages.create_topics import CreatableTopic, CreateTopicsRequest, CreateTopicsResponse


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker() as started:
        yield started


@pytest.fixture
def client(broker: Broker) -> Iterator[RawClient]:
    with RawClient(broker.bootstrap_servers) as connected:
        yield connected


@pytest.fixture
def new_topic(client: RawClient) -> Callable[..., str]:
    """Creates a topic with a name of its own."""

    def create(partitions: int = 1) -> str:
        name = f"t-{uuid.uuid4().hex[:8]}"
        request = CreateTopicsRequest(
            topics=[CreatableTopic(name=name, num_partitions=partitions, replication_factor=1)]
        )
        answer = client.call(request, 5, CreateTopicsResponse)
        assert answer.topics[0].error_code == 0
        return name

    return create
