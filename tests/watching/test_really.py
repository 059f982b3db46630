"""The excuse for a wrong cause: only what the broker's own log tells counts, and only what nobody meant."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from bench.monitor.provoke import Provoked
from tests.watching.really import Departure, departures, really_happened

from rota.broker.event_lines import event_line
from rota.monitor.findings import Certainty
from rota.monitor.rebalances import Cost, Told
from rota.monitor.rebalances.verdicts import Verdict
from rota.timeline.events import MemberLeft, RebalanceReason

NOW_MS = 1_760_000_000_000
HEAD = f"{datetime.fromtimestamp(NOW_MS / 1000, UTC).astimezone():%Y-%m-%d %H:%M:%S},000"
"""In local time, as brokers write it."""
EXPIRED, LEFT = RebalanceReason.SESSION_EXPIRED, RebalanceReason.MEMBER_LEFT
JOINED = RebalanceReason.MEMBER_JOINED


@pytest.mark.parametrize("reason", [EXPIRED, LEFT])
@pytest.mark.parametrize("detail", ["", "client asked"])
def test_lines_of_rotas_broker(reason: RebalanceReason, detail: str) -> None:
    words = event_line(MemberLeft(NOW_MS, "g", "m1-x", reason, detail))
    (found,) = departures(
        [f"{HEAD} INFO {words}\n", f"{HEAD} INFO group g: m1-x joined from 127.0.0.1\n", "else"]
    )
    assert found[:3] == (NOW_MS, "g", "m1-x")
    assert reason in found.reasons
    assert not found.reasons & ({EXPIRED, LEFT} - {reason})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Member m1-x in group g has failed, removing it from the group.", EXPIRED),
        ("[GroupId g] Member m1-x left the consumer group.", LEFT),
    ],
)
def test_lines_of_apache_kafka(text: str, reason: RebalanceReason) -> None:
    (found,) = departures([f"[{HEAD}] INFO {text} (org.apache.kafka.Group)\n"])
    assert found[:3] == (NOW_MS, "g", "m1-x")
    assert reason in found.reasons


def gone(member: str, reason: RebalanceReason, at_ms: int = NOW_MS) -> Departure:
    return Departure(at_ms, "g", f"{member}-x", frozenset({reason}))


@pytest.mark.parametrize(
    ("kind", "who", "reason", "member", "log", "excused"),
    [
        # Nobody meant m2's session to end, and it ended.
        ("join", "m4", EXPIRED, "m2", [gone("m2", EXPIRED)], True),
        # It was lost before, and is back.
        ("leave", "m2", JOINED, "m3", [gone("m3", EXPIRED, NOW_MS - 20_000)], True),
        # The one that was to leave was silent instead.
        ("leave", "m2", EXPIRED, "m2", [gone("m2", EXPIRED)], True),
        # The log knows nothing of it, or something else: the monitor is wrong.
        ("join", "m4", EXPIRED, "m2", [], False),
        ("killed", "m2", LEFT, "m2", [gone("m2", EXPIRED)], False),
        ("join", "m4", EXPIRED, "m2", [gone("m3", EXPIRED)], False),
        ("join", "m4", EXPIRED, "m2", [gone("m2", LEFT)], False),
        # What was meant is no excuse for a cause beside it: the member that was stalled came back later.
        ("poll", "m2", JOINED, "m2", [gone("m2", LEFT)], False),
        ("killed", "m2", JOINED, "m4", [gone("m2", EXPIRED)], False),
        # Long ago.
        ("join", "m4", EXPIRED, "m2", [gone("m2", EXPIRED, NOW_MS - 200_000)], False),
        # Causes that are no departure are never excused.
        ("partitions", "", RebalanceReason.SUBSCRIPTION_CHANGED, "m2", [gone("m2", EXPIRED)], False),
    ],
)
def test_only_what_nobody_meant_and_the_broker_saw_is_an_excuse(
    kind: str, who: str, reason: RebalanceReason, member: str, log: list[Departure], *, excused: bool
) -> None:
    verdict = Verdict(reason, f"{member}-x", Certainty.LIKELY, "")
    names = {f"m{number}-x": f"m{number}" for number in range(1, 6)}
    told = Told(NOW_MS, (verdict,), None, Cost({}, by_commits=False), names, exact=True)
    done = Provoked(kind, who, NOW_MS - 1_000, NOW_MS + 1_000)
    assert really_happened(done, [told], log) is excused


def test_a_return_from_what_was_done_before_is_no_excuse() -> None:
    """The member that was stalled in the deed before is back, and is told as the cause of the next one."""
    verdict = Verdict(JOINED, "m2-x", Certainty.LIKELY, "")
    told = [Told(NOW_MS, (verdict,), None, Cost({}, by_commits=False), {"m2-x": "m2"}, exact=True)]
    done = Provoked("join", "m4", NOW_MS - 1_000, NOW_MS + 1_000)
    before = Provoked("poll", "m2", NOW_MS - 30_000, NOW_MS - 10_000)
    log = [gone("m2", LEFT, NOW_MS - 20_000)]
    assert really_happened(done, told, log)
    assert not really_happened(done, told, log, [before, done])


def test_what_nothing_was_told_of_is_not_excused() -> None:
    done = Provoked("join", "m4", NOW_MS - 1_000, NOW_MS + 1_000)
    assert not really_happened(done, [], [gone("m2", EXPIRED)])
