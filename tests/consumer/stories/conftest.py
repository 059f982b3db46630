"""One broker of each kind for all stories, and a stage for each story."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.brokers import new_broker
from tests.consumer.stories.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.brokers import BrokerUnderTest

CONFIG = {
    "group.consumer.min.heartbeat.interval.ms": "300",
    "group.consumer.heartbeat.interval.ms": "300",
    "group.consumer.min.session.timeout.ms": "1000",
    "offsets.topic.num.partitions": "4",
    "offset.metadata.max.bytes": "512",
}
"""Members of consumer groups hear of a rebalance soon; a restart has little to load; less fits beside a committed
offset than a client thinks.
"""


@pytest.fixture(scope="session")
def story_broker(broker_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerUnderTest]:
    """A broker for stories, one after the other; it keeps its data when a story stops, kills or restarts it."""
    with new_broker(broker_kind, tmp_path_factory.mktemp("broker"), CONFIG) as running:
        yield running


@pytest.fixture
def stage(story_broker: BrokerUnderTest, tmp_path: Path) -> Iterator[Stage]:
    """A topic of four partitions, a group, and nobody in it yet."""
    with Stage(story_broker.bootstrap_servers, tmp_path / "stage") as empty:
        empty.create_topic()
        yield empty
