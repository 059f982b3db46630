"""How long a broker that says nothing is waited for: the whole time where nobody else can be asked."""

from __future__ import annotations

from rota.admin.connection import Connection
from rota.admin.routing import SILENT_SHARE, Brokers
from rota.admin.security import Security
from rota.wire.messages.metadata import MetadataResponse, MetadataResponseBroker


def brokers(count: int) -> MetadataResponse:
    return MetadataResponse(
        brokers=[
            MetadataResponseBroker(node_id=number, host="127.0.0.1", port=9092 + number)
            for number in range(count)
        ]
    )


def test_half_of_the_time_is_left_for_others_where_there_are_some() -> None:
    at = ("127.0.0.1", 9092)
    known = Brokers("127.0.0.1:9092", [at], Security(), "rota", 8.0)
    made = known._connections[at] = Connection("127.0.0.1:9092", "rota", known._silence_s)
    assert made.silence_s == 8.0
    known.keep(brokers(1))
    assert made.silence_s == 8.0
    known.keep(brokers(3))
    assert made.silence_s == 8.0 * SILENT_SHARE
