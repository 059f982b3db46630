"""The broker's log lines about groups."""

from __future__ import annotations

from rota.broker.event_lines import event_line
from rota.model import TopicPartition
from rota.timeline.events import RebalanceCompleted


def test_a_generation_counts_its_members_and_names_the_protocol_if_there_is_one() -> None:
    shares = {"c-1": (TopicPartition("web", 0),)}
    told = event_line(RebalanceCompleted(1_000, "g", 1, "range", "c-1", shares))
    assert told == "group g: generation 1 is stable, 1 member (range): c-1: web-0"
    told = event_line(RebalanceCompleted(1_000, "g", 2, None, None, {**shares, "c-2": ()}))
    assert told == "group g: generation 2 is stable, 2 members: c-1: web-0; c-2: none"
