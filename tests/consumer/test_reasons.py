"""Whatever happens to a consumer, there is a reason for every record that waits: so no partition is called stuck, and
no consumer ended, that would go on by itself.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.consumer.test_snapshot import P0, P1, Bench

from rota.consumer.core.policy import Retry
from rota.consumer.operations.health import reason
from rota.model import TopicPartition

P2 = TopicPartition("orders", 2)

_STEPS = st.one_of(
    st.tuples(st.just("produce"), st.sampled_from([P0, P1, P2]), st.sampled_from([b"a", b"b", b"c", None])),
    st.tuples(st.just("hold"), st.sets(st.integers(0, 5), min_size=1), st.none()),
    st.tuples(st.just("free"), st.none(), st.none()),
    st.tuples(st.just("fail"), st.integers(0, 5), st.none()),
    st.tuples(st.just("heal"), st.none(), st.none()),
    st.tuples(st.just("withdraw"), st.sampled_from([P0, P1, P2]), st.booleans()),
    st.tuples(st.just("assign"), st.sampled_from([P0, P1, P2]), st.none()),
    st.tuples(st.just("pause"), st.sampled_from([P0, P1, P2]), st.none()),
    st.tuples(st.just("wait"), st.sampled_from([10, 100, 500]), st.none()),
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(_STEPS, min_size=5, max_size=40),
    st.integers(1, 3),
    st.sampled_from([20, 1_000_000]),
    st.sampled_from([1, 2, 8]),
)
def test_a_record_that_waits_has_a_reason(
    steps: list[tuple[str, Any, Any]], workers: int, slow_ms: int, lanes: int
) -> None:
    bench = Bench(workers, Retry(attempts=1_000, backoff=(0.2, 0.2)), slow_ms=slow_ms, lanes=lanes)
    bench.client.assign([P0, P1, P2])
    ours = {P0, P1, P2}
    for kind, what, more in steps:
        if kind == "produce":
            bench.produce(what, more)
        elif kind == "hold":
            bench.held |= what
        elif kind == "free":
            bench.held.clear()
        elif kind == "fail":
            bench.fails.add(what)
        elif kind == "heal":
            bench.fails.clear()
        elif kind == "withdraw" and what in ours:
            ours.discard(what)
            bench.client.withdraw([what], lost=bool(more))
        elif kind == "assign" and what not in ours:
            ours.add(what)
            bench.client.assign([what])
        elif kind == "pause":
            bench.engine.pause(what)
        bench.turn(what if kind == "wait" else 10)
        bench.settle()
        state = bench.state()
        for partition in state.partitions:
            if partition.blocking is not None:
                assert reason(partition, state) is not None, (partition, state.handlers)
