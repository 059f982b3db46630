"""D11: max.poll.interval.ms was exceeded."""

from dataclasses import replace

from tests.monitor.doctor.checks import alone, findings_of, told
from tests.monitor.doctor.test_d09_rebalance_storm import lived
from tests.monitor.doctor.test_d10_member_flaps import flapping

from rota.monitor.findings import Certainty

STORY = """
    0 joins pod-1@10.0.0.1
    0 joins pod-2@10.0.0.2
    300 leaves pod-2 poll-interval-exceeded likely: its last commit was 299.8 s before
    330 joins pod-2@10.0.0.2
"""


def test_thrown_out_for_polling_too_seldom() -> None:
    """Who, by what sign, with the limit where it is recorded; and that it is back."""
    seen = lived(STORY, 340)
    (found,) = alone("D11", seen)
    assert found.words == (
        "pod-2 (10.0.0.2) was thrown out for polling too seldom: "
        "the work between two polls took longer than max.poll.interval.ms"
    )
    assert found.certainty is Certainty.LIKELY
    assert "pod-2 (10.0.0.2): its last commit was 299.8 s before (__consumer_offsets)" in told(found)
    assert "back since: pod-2 (10.0.0.2)" in told(found)
    member = replace(seen.facts.members[0], rebalance_timeout_ms=300_000)
    (found,) = alone("D11", replace(seen, recorded=replace(seen.facts, members=(member,))))
    assert "than max.poll.interval.ms (5 min)" in found.words


def test_a_loop_of_it_is_told_once() -> None:
    """Not as a member that flaps as well."""
    seen = lived(flapping("poll-interval-exceeded"), 80)
    (found,) = alone("D11", seen)
    assert "was thrown out 4 times" in found.words
    assert not {"D10", "D12"} & set(findings_of(seen))


def test_what_looks_see_is_a_guess() -> None:
    """Differences between looks know no times."""
    (found,) = alone("D11", replace(lived(STORY, 340), events_source="differences between looks"))
    assert found.certainty is Certainty.GUESS


def test_who_leaves_in_order() -> None:
    """A clean stop."""
    assert not alone("D11", lived(STORY.replace("poll-interval-exceeded", "member-left"), 340))
