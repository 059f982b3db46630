"""Python's own thresholds are raised; what an application has chosen is left alone."""

import gc
from collections.abc import Iterator

import pytest

from rota.consumer.collector import calm


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before, enabled = gc.get_threshold(), gc.isenabled()
    yield
    gc.set_threshold(*before)
    (gc.enable if enabled else gc.disable)()


def test_what_nobody_chose_is_raised() -> None:
    gc.set_threshold(700, 10, 10)
    calm()
    assert gc.get_threshold() == (50_000, 10, 10)


@pytest.mark.parametrize("chosen", [(0, 10, 10), (1_000, 10, 10), (700, 20, 10), (100_000, 50, 100)])
def test_what_an_application_chose_is_left_alone(chosen: tuple[int, int, int]) -> None:
    gc.set_threshold(*chosen)
    calm()
    assert gc.get_threshold() == chosen


def test_a_collector_that_is_off_is_left_alone() -> None:
    gc.set_threshold(700, 10, 10)
    gc.disable()
    calm()
    assert not gc.isenabled()
    assert gc.get_threshold() == (700, 10, 10)
