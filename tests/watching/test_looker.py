"""``Looker``: a thread that looks, and ends when it is told to."""

from __future__ import annotations

import pytest
from tests.kafka.ports import wait_until

from rota.admin import Admin
from rota.monitor.facts import Snapshot
from rota.testing import Broker
from rota.watching import looker
from rota.watching.looker import Looker


def test_it_outlives_the_mistakes_of_whoever_it_tells(caplog: pytest.LogCaptureFixture) -> None:
    times: list[int] = []

    def told(snapshot: Snapshot) -> None:
        times.append(snapshot.at_ms)
        raise KeyError("orders")

    with (
        Broker() as broker,
        Admin(broker.bootstrap_servers) as admin,
        Looker(admin, [], told, interval_s=0.01),
    ):
        wait_until("three looks", lambda: len(times) >= 3)
    said = [each.getMessage() for each in caplog.records if each.name == looker.__name__]
    assert said == ["a look at groups failed"]
