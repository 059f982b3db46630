"""D12: silent for the whole session timeout."""

from dataclasses import replace

from tests.monitor.doctor.checks import alone, told
from tests.monitor.doctor.test_d09_rebalance_storm import lived

GONE = """
    0 joins pod-1@10.0.0.1
    0 joins pod-2@10.0.0.2
    100 leaves pod-2 session-expired likely: its last commit was 45.0 s before, and its session timeout is 45.0 s
"""
BACK = GONE + "120 joins pod-2@10.0.0.2"


def test_a_member_vanished() -> None:
    """And nobody read its partitions for the session timeout."""
    seen = lived(GONE, 140)
    member = replace(seen.facts.members[0], session_timeout_ms=45_000)
    (found,) = alone("D12", replace(seen, recorded=replace(seen.facts, members=(member,))))
    assert found.words == (
        "pod-2 (10.0.0.2) vanished without a word and nobody read its partitions for 45.0 s: "
        "a crash, or its host is gone"
    )
    assert "came back: 0 of 1" in told(found)


def test_it_came_back() -> None:
    """A freeze, a cut, or a restart."""
    (found,) = alone("D12", lived(BACK, 140))
    assert found.words.endswith("a freeze or a cut, or its program was started again")


def test_who_says_goodbye() -> None:
    """Nothing to say."""
    assert not alone("D12", lived(GONE.replace("session-expired", "member-left"), 140))


TWO = """
    0 joins pod-1@10.0.0.1
    0 joins pod-2@10.0.0.2
    100 leaves pod-1 session-expired likely: silent
    110 leaves pod-2 session-expired likely: silent
    120 joins pod-1@10.0.0.1
    121 joins pod-2@10.0.0.2
"""


def test_members_with_session_timeouts_of_their_own() -> None:
    """Each is told with its own; where nobody knows whose it was, none is."""
    seen = lived(TWO, 140)
    one, two = (
        replace(
            seen.facts.members[0],
            member_id=f"pod-{number}#2",
            client_id=f"pod-{number}",
            host=f"/10.0.0.{number}",
            session_timeout_ms=limit_ms,
        )
        for number, limit_ms in ((1, 10_000), (2, 45_000))
    )
    first, second = alone("D12", replace(seen, recorded=replace(seen.facts, members=(one, two))))
    assert first.words.startswith("pod-1 (10.0.0.1) vanished")
    assert "for 10.0 s" in first.words
    assert "session.timeout.ms: 10,000 (__consumer_offsets)" in told(first)
    assert second.words.startswith("pod-2 (10.0.0.2) vanished")
    assert "for 45.0 s" in second.words
    strangers = (replace(one, client_id="x", member_id="x"), replace(two, client_id="y", member_id="y"))
    (both,) = alone("D12", replace(seen, recorded=replace(seen.facts, members=strangers)))
    assert "nobody read their partitions: " in both.words
    assert "session.timeout.ms" not in told(both)


def test_the_last_of_its_kind() -> None:
    """It had a shorter timeout than all that are left: its departure tells, not they."""
    seen = lived(GONE.replace("45.0 s", "10.0 s"), 140)
    member = replace(seen.facts.members[0], session_timeout_ms=45_000)
    (found,) = alone("D12", replace(seen, recorded=replace(seen.facts, members=(member,))))
    assert "nobody read its partitions for 10.0 s" in found.words
