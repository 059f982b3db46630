"""Lines as Apache Kafka 4.1 logs them."""

from __future__ import annotations

import pytest

from rota.monitor.rebalances.broker_log import Line, LineKind, read_line

HEAD = "[2026-11-21 18:37:26,391] INFO [GroupCoordinator id=1 topic=__consumer_offsets partition=2] "
TAIL = " (org.apache.kafka.coordinator.group.GroupMetadataManager)"
M1 = "m1-a4188603-1571-43c9-990c-e41f8bf476ed"
M2 = "ie5yketMTjCrZA5fbvrd8Q"
PREPARING = "Preparing to rebalance group orders in state PreparingRebalance with old generation"
LEFT = "has left group through explicit `LeaveGroup` request; client reason:"
NEW = f"Adding new member {M1} with group instance id null; client reason: not provided"
SILENT = f"removing member {M1} on heartbeat expiration."
AGAIN = f"Leader {M1} re-joining group during Stable; client reason: cached metadata has changed from (version6: {{}})"
STUCK = "it failed to transition from epoch 4 within 300000ms"
POLL = "consumer poll timeout has expired."
CLOSED = "the consumer is being closed"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"{PREPARING} 1 (reason: {NEW}).", Line(LineKind.PREPARING, "orders", M1, NEW, 1)),
        (f"{PREPARING} 0 (reason: {SILENT}).", Line(LineKind.PREPARING, "orders", M1, SILENT, 0)),
        (f"{PREPARING} 11 (reason: {AGAIN}).", Line(LineKind.PREPARING, "orders", M1, AGAIN, 11)),
        (f"[Group orders] Member {M1} {LEFT} not provided", Line(LineKind.LEFT, "orders", M1)),
        (f"[Group orders] Member {M1} {LEFT} {POLL}", Line(LineKind.LEFT, "orders", M1, POLL)),
        (f"[GroupId a b] Dynamic member {M1} {LEFT} {CLOSED}", Line(LineKind.LEFT, "a b", M1, CLOSED)),
        (
            f"Member {M1} in group orders has failed, removing it from the group.",
            Line(LineKind.EXPIRED, "orders", M1),
        ),
        (f"[GroupId orders] Member {M2} left the consumer group.", Line(LineKind.LEFT, "orders", M2)),
        (
            f"[GroupId orders] Static member {M2} with instance id pod-1 left the consumer group.",
            Line(LineKind.LEFT, "orders", M2),
        ),
        (
            f"[GroupId orders] Member {M2} fenced from the group because the member session expired.",
            Line(LineKind.EXPIRED, "orders", M2, "the member session expired"),
        ),
        (
            f"[GroupId orders] Member {M2} fenced from the group because {STUCK}.",
            Line(LineKind.STUCK, "orders", M2, STUCK),
        ),
        (f"[GroupId orders] Member {M2} joins the consumer group using the consumer protocol.", None),
        ("Stabilized group orders generation 3 with 4 members.", None),
        ("A broker that has failed, but no member", None),
    ],
)
def test_a_line(text: str, line: Line | None) -> None:
    assert read_line(f"{HEAD}{text}{TAIL}\n") == line
    assert read_line(text) == line
