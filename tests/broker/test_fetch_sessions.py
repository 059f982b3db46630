"""Incremental fetch sessions (KIP-227), by transition."""

from __future__ import annotations

import pytest

from rota.broker.fetch_sessions import MOST_PARTITIONS, FetchSession, FetchSessions, WantedPartition
from rota.model import ErrorCode, KafkaError


def _refused(sessions: FetchSessions, session_id: int, epoch: int, *, ids: bool = True) -> ErrorCode:
    with pytest.raises(KafkaError) as caught:
        sessions.use(session_id, epoch, uses_topic_ids=ids)
    return caught.value.code


def test_opened_then_used_with_growing_epochs() -> None:
    sessions = FetchSessions(10)
    session = sessions.open(uses_topic_ids=True)
    assert session is not None
    for epoch in (1, 2, 3):
        assert sessions.use(session.session_id, epoch, uses_topic_ids=True) is session


def test_used_with_an_epoch_that_is_not_next() -> None:
    sessions = FetchSessions(10)
    session = sessions.open(uses_topic_ids=True)
    assert session is not None
    assert _refused(sessions, session.session_id, 2) == ErrorCode.INVALID_FETCH_SESSION_EPOCH


def test_used_with_names_after_ids() -> None:
    sessions = FetchSessions(10)
    session = sessions.open(uses_topic_ids=True)
    assert session is not None
    assert _refused(sessions, session.session_id, 1, ids=False) == ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR


def test_closed_then_used() -> None:
    sessions = FetchSessions(10)
    session = sessions.open(uses_topic_ids=True)
    assert session is not None
    sessions.close(session.session_id)
    assert _refused(sessions, session.session_id, 1) == ErrorCode.FETCH_SESSION_ID_NOT_FOUND


def test_the_least_recently_used_session_gives_way() -> None:
    sessions = FetchSessions(2)
    first = sessions.open(uses_topic_ids=True)
    second = sessions.open(uses_topic_ids=True)
    assert first is not None
    assert second is not None
    sessions.use(first.session_id, 1, uses_topic_ids=True)
    sessions.open(uses_topic_ids=True)
    assert len(sessions) == 2
    assert _refused(sessions, second.session_id, 1) == ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    sessions.use(first.session_id, 2, uses_topic_ids=True)


def test_epochs_wrap_to_1() -> None:
    sessions = FetchSessions(1)
    session = sessions.open(uses_topic_ids=True)
    assert session is not None
    session.epoch = 2**31 - 1
    sessions.use(session.session_id, 2**31 - 1, uses_topic_ids=True)
    assert session.epoch == 1


def test_no_slots_means_no_sessions() -> None:
    assert FetchSessions(0).open(uses_topic_ids=True) is None


def _remember(sessions: FetchSessions, session: FetchSession, count: int) -> None:
    same = WantedPartition("t", bytes(16), False, 0, 0, 1, -1)
    session.partitions = {("t", number): same for number in range(count)}
    sessions.count(session)


def test_the_oldest_give_way_to_one_that_remembers_very_many_partitions() -> None:
    sessions = FetchSessions(10)
    made = [sessions.open(uses_topic_ids=True) for _ in range(4)]
    half = MOST_PARTITIONS // 2
    for each, count in zip(made, (half, 10, half - 10, 1), strict=True):
        assert each is not None
        _remember(sessions, each, count)
    assert [each.session_id in _ids(sessions) for each in made if each] == [False, True, True, True]
    assert made[1] is not None
    sessions.use(made[1].session_id, 1, uses_topic_ids=True)
    _remember(sessions, made[1], half + 10)  # older than the two after it, but just used
    assert [each.session_id in _ids(sessions) for each in made if each] == [False, True, False, True]


def test_a_session_that_remembers_too_much_by_itself_is_forgotten() -> None:
    sessions = FetchSessions(10)
    session = sessions.open(uses_topic_ids=True)
    assert session is not None
    _remember(sessions, session, MOST_PARTITIONS + 1)
    assert len(sessions) == 0
    another = sessions.open(uses_topic_ids=True)
    assert another is not None
    _remember(sessions, another, MOST_PARTITIONS)
    assert len(sessions) == 1


def _ids(sessions: FetchSessions) -> set[int]:
    return set(sessions._sessions)
