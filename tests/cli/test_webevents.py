"""The web-event generator: repeatable, keyed by user, skewed on demand."""

import itertools
import json
from collections import Counter

import pytest

from rota.webevents import web_events


def test_the_same_seed_makes_the_same_events() -> None:
    first = list(itertools.islice(web_events(seed=7), 100))
    assert first == list(itertools.islice(web_events(seed=7), 100))
    assert first != list(itertools.islice(web_events(seed=8), 100))


def test_the_key_is_the_event_s_user() -> None:
    for number, (key, value) in enumerate(itertools.islice(web_events(users=3), 50), start=1):
        event = json.loads(value)
        assert event.keys() == {"event", "type", "user", "page"}
        assert event["event"] == number
        assert event["user"] == key.decode()
        assert event["user"] in {"user-1", "user-2", "user-3"}


def test_without_skew_users_are_equally_busy() -> None:
    counts = Counter(key for key, _ in itertools.islice(web_events(users=10), 10_000))
    assert len(counts) == 10
    assert max(counts.values()) < 1.3 * min(counts.values())


def test_skew_makes_the_first_user_the_busiest() -> None:
    counts = Counter(key for key, _ in itertools.islice(web_events(users=10, skew=1.0), 10_000))
    assert counts.most_common(1)[0][0] == b"user-1"
    assert 1.6 < counts[b"user-1"] / counts[b"user-2"] < 2.4


@pytest.mark.parametrize(("users", "skew"), [(0, 0.0), (3, -1.0)])
def test_impossible_wishes_are_refused(users: int, skew: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        next(web_events(users=users, skew=skew))
