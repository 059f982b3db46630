"""Snapshots made by hand."""

from __future__ import annotations

from dataclasses import replace

from rota.consumer.operations.snapshot import BlockingRecord, HandlerState, PartitionState, State

IDLE = HandlerState("handle", ("orders",), 4, 0, 0, 0, 0, None)

EMPTY = State(
    at_ms=0,
    group="billing",
    client_id="billing-1",
    stopping=None,
    joined=True,
    partitions=(),
    handlers=(IDLE,),
    in_flight_limit=1_000,
    commits=0,
    commits_failed=0,
    last_commit_ms=None,
    last_commit_problem=None,
    rebalances={},
    last_rebalance_ms=None,
)


def partition(
    number: int = 0,
    *,
    position: int | None = 10,
    end: int | None = 10,
    paused: str | None = None,
    blocking: BlockingRecord | None = None,
    in_flight: int = 0,
) -> PartitionState:
    committed = blocking.offset if blocking is not None else position
    lag = None if end is None or committed is None else end - committed
    return PartitionState(
        "orders", number, "handle", 0, position, committed, end, lag, in_flight, paused, blocking
    )


def blocking(state: str, offset: int = 5, *, attempts: int = 1, age_ms: int = 0) -> BlockingRecord:
    words = {
        "running": "is running for 1.0 s, attempt 1",
        "retry": "waits for attempt 2, due in 3.0 s",
        "sending": "is on its way to another topic after 2 attempts",
        "behind": "waits in its lane behind orders-1 at offset 3, which is running",
        "queued": "waits for a worker",
    }[state]
    return BlockingRecord(offset, "k", 0, state, age_ms, attempts, None, None, None, words)


def state(*partitions: PartitionState, busy: int = 0) -> State:
    return replace(EMPTY, partitions=partitions, handlers=(replace(IDLE, busy=busy),))
