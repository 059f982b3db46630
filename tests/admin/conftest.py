"""An ``Admin`` on the broker that all tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.kafka.ports import PATIENCE_S

from rota.admin import Admin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.brokers import BrokerUnderTest


@pytest.fixture
def admin(broker: BrokerUnderTest) -> Iterator[Admin]:
    with Admin(broker.bootstrap_servers, timeout_s=PATIENCE_S) as client:
        yield client
