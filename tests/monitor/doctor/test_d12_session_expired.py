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
