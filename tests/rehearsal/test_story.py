"""What happens, in sentences."""

from __future__ import annotations

import pytest

from rota.model import TopicPartition
from rota.rehearsal.story import Story, numbers, runs
from rota.timeline import Pause
from rota.timeline.events import ConsumerStopped, Fault, FaultKind


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ([4], "partition 4"),
        ([2, 0], "partitions 0 and 2"),
        ([0, 1, 2], "partitions 0, 1 and 2"),
        (range(20), "partitions 0-19"),
        ([*range(7), 9, 11], "partitions 0-6, 9 and 11"),
    ],
)
def test_partitions_by_their_numbers(held: list[int], words: str) -> None:
    assert numbers(TopicPartition("web", number) for number in held) == words


def test_runs_for_a_table() -> None:
    assert runs([0, 1, 2]) == "0, 1, 2"
    assert runs([9, *range(20, 40)]) == "9, 20-39"
    assert runs([]) == ""


def test_one_record_waits_alone() -> None:
    pause = Pause(TopicPartition("web", 1), 1_000, 3_000, 2_000, "c-2 left", 1)
    ((_, words),) = Story().pauses([pause])
    assert words == "Partition 1 is read again after 2.0 s; 1 record had waited (c-2 left)."


def test_killed_by_somebody_else_is_no_crash() -> None:
    told = Story().tell(Fault(1_000, "consumer-2", FaultKind.KILLED, "signal 9"))
    assert told == "consumer-2 was killed (signal 9), by somebody else: no commit, no goodbye."


def test_a_static_member_that_stops_does_not_leave() -> None:
    stopped = ConsumerStopped(1_000, "consumer-3", "SIGTERM")
    polite, static = Story().tell(stopped), Story(static=True).tell(stopped)
    assert polite == "consumer-3 has finished, committed and left (SIGTERM)."
    assert static is not None
    assert "does not leave" in static
    assert "left" not in static


def test_refused_commits_of_one_moment_are_told_once() -> None:
    story = Story()
    told = [
        story.tell(Fault(at_ms, who, FaultKind.COMMIT_REFUSED, "old generation"))
        for at_ms, who in [(1_000, "c-1"), (1_001, "c-1"), (1_001, "c-3"), (9_000, "c-1")]
    ]
    assert [bool(each) for each in told] == [True, False, True, True]
    assert "c-1's commit was refused (old generation)" in (told[0] or "")
