"""How many records came while partitions waited."""

from __future__ import annotations

import pytest
from tests.monitor.rebalances.log import START_MS
from tests.monitor.rebalances.test_told import killed
from tests.monitor.snapshots import tp

from rota.monitor.rebalances.ends import Ends


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


def test_the_cost_of_a_rebalance_in_records() -> None:
    log = killed()
    assert log.told()[-1].cost.records is None
    for second in range(30):
        log.reader.look_at_ends({tp("orders-1"): 100 * second}, START_MS + 1_000 * second)
    cost = log.told()[-1].cost
    assert cost.records == 620  # since the last sign of life: at most
    assert cost.words.startswith("1 partition waited, at least 4.0 s, up to 6.2 s together (")
    assert cost.words.endswith("); up to 620 records came meanwhile")
