"""Readers forget groups that are gone, but for the last ones, and tell news without walking through all groups."""

from __future__ import annotations

import pytest
from tests.monitor.rebalances.log import Log
from tests.monitor.snapshots import look

from rota.coordinator.log_format import encode_record
from rota.coordinator.outcome import LogRecord
from rota.monitor.rebalances import LogReader, gone, story
from rota.monitor.rebalances.polled import PollReader
from rota.wire.messages import group_log as gl

MOST = 20


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gone, "MOST_GONE", MOST)


def feed(reader: LogReader, key: object, value: object) -> None:
    reader.feed(7, *encode_record(LogRecord(key, value)), 1_000)  # type: ignore[arg-type]


def commit(reader: LogReader, group: str, offset: int | None) -> None:
    value = (
        None if offset is None else gl.OffsetCommitValue(offset=offset, metadata="", commit_timestamp=1_000)
    )
    feed(reader, gl.OffsetCommitKey(group=group, topic="orders", partition=0), value)


def delete(reader: LogReader, group: str) -> None:
    commit(reader, group, None)
    feed(reader, gl.GroupMetadataKey(group=group), None)


def names(numbers: range) -> list[str]:
    return [f"console-consumer-{number}" for number in numbers]


def test_of_groups_that_are_deleted_the_last_are_remembered() -> None:
    reader = LogReader()
    commit(reader, "orders", 1)
    for name in names(range(100)):
        commit(reader, name, 1)
        delete(reader, name)
    assert reader.groups == ("orders", *names(range(100 - MOST, 100)))
    assert reader.versions().keys() <= {*reader.groups}


def test_a_group_that_comes_back_is_not_forgotten() -> None:
    reader = LogReader()
    commit(reader, "orders", 1)
    delete(reader, "orders")
    commit(reader, "orders", 2)
    for name in names(range(100)):
        commit(reader, name, 1)
        delete(reader, name)
    assert "orders" in reader.groups


def test_of_a_group_that_was_gone_before_nothing_is_kept() -> None:
    """Only the records of its end are left."""
    reader = LogReader()
    delete(reader, "orders")
    assert reader.groups == ()


def test_versions_are_made_anew_for_news_only() -> None:
    reader = LogReader()
    for name in ("orders", "mails"):
        feed(reader, gl.GroupMetadataKey(group=name), _empty())
    before = reader.versions()
    assert before == {name: reader.version(name) for name in ("orders", "mails")}
    assert reader.versions() is before
    feed(reader, gl.GroupMetadataKey(group="mails"), _empty())
    after = reader.versions()
    assert after == {name: reader.version(name) for name in ("orders", "mails")}
    assert after["mails"] > before["mails"]


def _empty() -> gl.GroupMetadataValue:
    return gl.GroupMetadataValue(
        protocol_type="consumer",
        generation=1,
        protocol=None,
        leader=None,
        current_state_timestamp=1_000,
        members=[],
    )


def test_groups_that_looks_find_no_more_are_forgotten_in_the_order_of_going() -> None:
    reader = PollReader()
    for number, name in enumerate(["orders", *names(range(100))]):
        seen = look(f"group {name}\n  one: {name}-0\n{name}-0 1/1")
        reader.look(seen.groups[name], seen.commits[name], number)
        if name != "orders":
            reader.gone(name)
    assert reader.groups == ("orders", *names(range(100 - MOST, 100)))
    assert reader.versions() == {name: reader.version(name) for name in reader.versions()}
    reader.gone("nobody ever saw it")
    assert len(reader.groups) == MOST + 1


def test_a_crash_loop_fills_no_memory_and_hides_nobody_who_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of former members the last ones are known; who was there all the time is known for as long."""
    monkeypatch.setattr(story, "MOST_JOINS", 10)
    monkeypatch.setattr(story, "MOST_STEPS", 5)
    log = Log()
    for number in range(1, 100):
        log.at(1_000 * number)
        log.generation(number, life={"crashes": number}, stays="orders-0", crashes="orders-1")
    told = log.told()[-1]
    assert told.names["stays-id"] == "stays"
    remembered = log.reader._stories["g"].names
    assert remembered.of("crashes-id99") == "crashes"
    assert remembered.of("crashes-id1") == "crashes-id1"
    assert len(remembered._names) <= 10
