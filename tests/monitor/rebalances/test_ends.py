"""How many records came while partitions waited."""

from __future__ import annotations

import pytest
from tests.monitor.rebalances.log import START_MS
from tests.monitor.rebalances.test_told import killed
from tests.monitor.snapshots import tp

from rota.monitor.rebalances.ends import MOST_PARTITIONS, Ends


@pytest.mark.parametrize(
    ("since_ms", "until_ms", "came"),
    [
        (1_000, 3_000, 20),
        (1_500, 2_500, 10),
        (3_000, 4_000, 0),
        (500, 2_000, None),
        (3_200, 3_900, 0),
        (3_500, 4_500, None),
    ],
)
def test_between_looks(since_ms: int, until_ms: int, came: int | None) -> None:
    ends = Ends()
    for at_ms, end in ((1_000, 100), (2_000, 110), (3_000, 120), (3_500, 120), (4_000, 120)):
        ends.look({tp("orders-0"): end}, at_ms)
    assert ends.between(tp("orders-0"), since_ms, until_ms) == came
    assert ends.between(tp("orders-1"), since_ms, until_ms) is None


def test_a_clock_that_was_set_back_begins_anew() -> None:
    ends = Ends()
    for at_ms, end in ((5_000, 100), (6_000, 110), (2_000, 120), (3_000, 130)):
        ends.look({tp("orders-0"): end}, at_ms)
    assert ends.between(tp("orders-0"), 2_000, 3_000) == 10
    assert ends.between(tp("orders-0"), 2_000, 5_500) is None


def test_only_so_many_partitions_are_remembered() -> None:
    """Those that were looked at last."""
    ends = Ends()
    for at_ms in (1_000, 2_000):
        ends.look({tp(f"orders-{number}"): at_ms for number in range(MOST_PARTITIONS)}, at_ms)
    for at_ms in (3_000, 4_000):
        ends.look({tp("orders-0"): at_ms, tp("mails-0"): at_ms}, at_ms)
    assert ends.between(tp("orders-0"), 1_000, 4_000) == 3_000
    assert ends.between(tp("mails-0"), 3_000, 4_000) == 1_000
    assert ends.between(tp("orders-1"), 1_000, 2_000) is None
    assert ends.between(tp("orders-2"), 1_000, 2_000) == 1_000


def test_the_cost_of_a_rebalance_in_records() -> None:
    log = killed()
    assert log.told()[-1].cost.records is None
    for second in range(30):
        log.reader.look_at_ends({tp("orders-1"): 100 * second}, START_MS + 1_000 * second)
    cost = log.told()[-1].cost
    assert cost.records == 620  # since the last sign of life: at most
    assert cost.words.startswith("1 partition waited, at least 4.0 s, up to 6.2 s together (")
    assert cost.words.endswith("); up to 620 records came meanwhile")
