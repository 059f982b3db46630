"""Incremental fetch sessions (KIP-227), by transition."""

from __future__ import annotations

import pytest

from rota.broker.fetch_sessions import FetchSessions
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
