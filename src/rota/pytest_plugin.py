"""Pytest fixtures. Everything heavy is imported when a fixture is used, not when pytest starts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from rota.testing import Broker

__all__ = ["rota_broker"]


@pytest.fixture
def rota_broker() -> Iterator[Broker]:
    """A Kafka broker of the test's own: in memory, in a thread, empty. See ``rota.testing.Broker``."""
    from rota.testing import Broker

    with Broker() as broker:
        yield broker
