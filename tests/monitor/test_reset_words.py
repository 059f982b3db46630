"""What people type: topics with partitions, moments, durations."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.model import RotaError
from rota.monitor.reset_words import Scope, duration_ms, moment_ms, scope_of


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("orders", Scope("orders")),
        ("orders:0", Scope("orders", (0,))),
        ("orders:2,0,1,2", Scope("orders", (0, 1, 2))),
        ("a.b_c-d:10, 11", Scope("a.b_c-d", (10, 11))),
    ],
)
def test_scopes(text: str, scope: Scope) -> None:
    assert scope_of(text) == scope


@pytest.mark.parametrize("text", ["", ":1", "orders:", "orders:a", "orders:1,,2", "orders:-1", "orders:1:2"])
def test_what_is_no_scope(text: str) -> None:
    with pytest.raises(RotaError, match="expected TOPIC") as caught:
        scope_of(text)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-21T14:02:00.000Z", "2026-11-21T14:02:00+00:00"),
        ("2026-11-21T14:02Z", "2026-11-21T14:02:00+00:00"),
        ("2026-11-21 14:02:00.250+01:00", "2026-11-21T13:02:00.250+00:00"),
        ("2026-11-21T14:02:00.123-0530", "2026-11-21T19:32:00.123+00:00"),
    ],
)
def test_moments(text: str, moment: str) -> None:
    expected = datetime.fromisoformat(moment).astimezone(UTC)
    assert moment_ms(text) == round(expected.timestamp() * 1000)


@given(st.integers(0, 4_000_000_000_000))
def test_a_moment_is_exact_to_the_millisecond(ms: int) -> None:
    text = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)).isoformat()
    assert moment_ms(text) == ms


def test_a_moment_without_a_zone_is_asked_for_one() -> None:
    with pytest.raises(RotaError, match="has no time zone: add Z for UTC") as caught:
        moment_ms("2026-11-21T14:02:00.000")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["", "yesterday", "14:02Z", "2026-13-01T00:00Z"])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(RotaError, match="is no moment such as"):
        moment_ms(text)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("PT15M", 900_000),
        ("P1DT2H30M", 95_400_000),
        ("P7D", 604_800_000),
        ("pt0.5s", 500),
        ("PT1.2345S", 1_234),
        ("PT0S", 0),
        ("90s", 90_000),
        ("15m", 900_000),
        ("2h", 7_200_000),
        ("3d", 259_200_000),
    ],
)
def test_durations(text: str, ms: int) -> None:
    assert duration_ms(text) == ms


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1DT", "1", "-PT1H", "PT-1H", "P1M", "P1Y", "PT1H30", "2 weeks"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(RotaError, match="is no duration such as") as caught:
        duration_ms(text)
    assert caught.value.exit_code == 2


@given(st.text(max_size=40))
def test_whatever_is_typed_is_read_or_refused(text: str) -> None:
    for read in (scope_of, moment_ms, duration_ms):
        try:
            read(text)
        except RotaError as error:
            assert error.exit_code == 2  # noqa: PT017
