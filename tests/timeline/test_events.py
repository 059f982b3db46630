"""A recording is read back as it was written, and what cannot be read is said in one line."""

from __future__ import annotations

import json
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.model import RotaError, TopicPartition
from rota.timeline import events as ev

TEXT = st.text(max_size=12)
NUMBER = st.integers(min_value=0, max_value=2**62)
PARTITION = st.builds(TopicPartition, TEXT, st.integers(0, 2**31 - 1))
PARTITIONS = st.lists(PARTITION, max_size=3).map(tuple)
REASON = st.sampled_from(ev.RebalanceReason)

EVENTS = st.one_of(
    st.builds(ev.RebalanceStarted, NUMBER, TEXT, NUMBER, REASON, TEXT, TEXT),
    st.builds(
        ev.RebalanceCompleted,
        NUMBER,
        TEXT,
        NUMBER,
        st.none() | TEXT,
        st.none() | TEXT,
        st.dictionaries(TEXT, PARTITIONS, max_size=3),
    ),
    st.builds(ev.MemberJoined, NUMBER, TEXT, TEXT, TEXT, TEXT, st.none() | TEXT),
    st.builds(ev.MemberLeft, NUMBER, TEXT, TEXT, REASON, TEXT),
    st.builds(ev.MemberReconciled, NUMBER, TEXT, NUMBER, TEXT, PARTITIONS),
    st.builds(ev.OffsetCommitted, NUMBER, TEXT, TEXT, TEXT, NUMBER, NUMBER),
    st.builds(ev.ConsumerStarted, NUMBER, TEXT, NUMBER),
    st.builds(ev.ConsumerStopped, NUMBER, TEXT, TEXT),
    st.builds(ev.Assigned, NUMBER, TEXT, PARTITIONS),
    st.builds(ev.Revoked, NUMBER, TEXT, PARTITIONS),
    st.builds(ev.Lost, NUMBER, TEXT, PARTITIONS),
    st.builds(ev.Produced, NUMBER, TEXT, NUMBER, NUMBER, NUMBER),
    st.builds(ev.Delivered, NUMBER, TEXT, TEXT, NUMBER, NUMBER, NUMBER),
    st.builds(ev.Processed, NUMBER, TEXT, TEXT, NUMBER, NUMBER, NUMBER),
    st.builds(ev.Committed, NUMBER, TEXT, TEXT, NUMBER, NUMBER),
    st.builds(ev.Fault, NUMBER, TEXT, TEXT, TEXT),
)


@given(EVENTS)
def test_every_event_survives_the_round_trip_in_one_line(event: ev.Event) -> None:
    line = ev.to_json(event)
    assert "\n" not in line
    assert ev.from_json(line) == event
    assert ev.from_json(line.encode()) == event


def test_a_line_names_version_event_and_fields() -> None:
    event = ev.Assigned(1000, "c1", (TopicPartition("orders", 0),))
    assert ev.to_json(event) == (
        '{"v":1,"event":"Assigned","at_ms":1000,"consumer":"c1","partitions":[["orders",0]]}'
    )


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"event": "Departed"}, "unknown event 'Departed'"),
        ({"event": None}, "unknown event None"),
        ({"v": 2}, "this Rota reads version 1"),
        ({"at_ms": "1000"}, "Fault.at_ms: '1000' is not a whole number"),
        ({"at_ms": True}, "Fault.at_ms: True is not a whole number"),
        ({"consumer": None}, "Fault.consumer: None is not text"),
        ({"surplus": 1}, "Fault has no 'surplus'"),
    ],
)
def test_what_is_wrong_with_a_line_is_said(change: dict[str, object], complaint: str) -> None:
    values = json.loads(ev.to_json(ev.Fault(1000, "c1", "kill-9", ""))) | change
    with pytest.raises(RotaError, match=complaint):
        ev.from_json(json.dumps(values))


@pytest.mark.parametrize("line", ["", "{", "[]", "7", '{"v":1,"event":"Fault","at_ms":1}'])
def test_what_is_no_event_is_refused(line: str) -> None:
    with pytest.raises(RotaError):
        ev.from_json(line)


@pytest.mark.parametrize(
    "partitions", ['["orders"]', '[["orders",true]]', '[["orders","0"]]', '"orders-0"', "[7]"]
)
def test_a_partition_that_is_none_is_refused(partitions: str) -> None:
    with pytest.raises(RotaError, match=r"Lost\.partitions"):
        ev.from_json(f'{{"v":1,"event":"Lost","at_ms":1,"consumer":"c","partitions":{partitions}}}')


def test_a_line_cut_short_by_a_kill_is_left_out() -> None:
    whole = ev.to_json(ev.ConsumerStarted(1, "c1", 7))
    assert list(ev.read_events([whole + "\n", "\n", whole[:20]])) == [ev.ConsumerStarted(1, "c1", 7)]


def test_a_broken_line_elsewhere_is_an_error_with_its_number() -> None:
    whole = ev.to_json(ev.ConsumerStarted(1, "c1", 7))
    with pytest.raises(RotaError, match="line 2: "):
        list(ev.read_events([whole + "\n", whole[:20] + "\n", whole]))


def test_every_reason_has_words() -> None:
    assert all(reason.words for reason in ev.RebalanceReason)


def test_an_assignment_may_be_any_mapping() -> None:
    """The coordinator's reads the members' bytes only when somebody asks."""
    held = {"m-1": (TopicPartition("orders", 0),)}
    done, same = (
        ev.RebalanceCompleted(5, "g", 2, "range", "m-1", each) for each in (held, MappingProxyType(held))
    )
    assert ev.to_json(same) == ev.to_json(done)
    assert ev.from_json(ev.to_json(same)) == done
