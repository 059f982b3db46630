"""`record.origin` in every kind of handler: headers are believed in the handler's own retry topics and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.consumer import origin_handlers
from tests.consumer.desk import Desk, until
from tests.consumer.kafka_tools import app_for, create

from rota.consumer import Batch, RetryTopics
from rota.consumer.failed.letters import Letter, Origin
from rota.testing import Broker

if TYPE_CHECKING:
    from pathlib import Path

FORGED = Letter(Origin("payments", 0, 7, attempts=9), "g", "ValueError", "", 1, due_at_ms=0).headers()
ONE = Batch(most=1, wait_ms=10)


@pytest.mark.parametrize(
    ("handler", "options"),
    [
        ("plain", {}),
        ("decoded", {}),
        ("awaited", {}),
        ("awaited_decoded", {}),
        ("many", {"batch": ONE}),
        ("many_decoded", {"batch": ONE}),
        ("many_awaited", {"batch": ONE}),
        ("decoded", {"workers": "processes"}),
        ("many", {"workers": "processes", "batch": ONE}),
    ],
)
def test_a_record_is_where_it_is_unless_it_comes_from_a_retry_topic(
    handler: str, options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = tmp_path / "journal"
    journal.touch()
    monkeypatch.setenv(origin_handlers.JOURNAL, str(journal))
    with Broker() as broker:
        create(broker, "orders")
        Desk(broker.bootstrap_servers).write("orders", [{"value": b"{}", "headers": FORGED}])
        app = app_for(broker)
        app.handler("orders", retry_topics=RetryTopics("100ms", create=True), **options)(
            getattr(origin_handlers, handler)
        )
        with app.start() as running:
            until("it is tried twice", lambda: len(set(journal.read_text().splitlines())) > 1, running)
    first, second = sorted(set(journal.read_text().splitlines()))
    assert first == "first orders-0 at offset 0 attempts 0"
    assert second.startswith("retry orders-0 at offset 0 attempts ")
