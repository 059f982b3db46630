"""D03: one partition stands still while its member goes on."""

from dataclasses import replace

from tests.monitor.doctor.cases import START_MS, evidence, tp
from tests.monitor.doctor.checks import alone, findings_of, told

from rota.monitor.doctor import CommitStep, RecordFacts
from rota.monitor.findings import Certainty, Severity

STORY = """
    group orders classic Stable range
      pod-1: orders-0 orders-1
      pod-2: orders-2
      orders-0  10/100 60/160 110/210 160/260
      orders-1  47/90 47/140 47/190 47/240
      orders-2  100/100 150/150 200/200 250/250
"""


def test_a_record_that_cannot_be_handled() -> None:
    """The offset, how long, whose it is, the record, and how to look at it and to go past it."""
    record = RecordFacts(47, START_MS - 1_000, "customer-9", 1_204, ("trace-id",))
    (found,) = alone("D03", evidence(STORY, records={tp("orders-1"): record}))
    assert found.words == (
        "orders-1 is stuck at offset 47 for 30.0 s while its member goes on with the rest: "
        "pod-1 cannot get past that record"
    )
    assert (found.severity, found.certainty) == (Severity.CRITICAL, Certainty.LIKELY)
    assert "the record at 47: key 'customer-9', 1,204 bytes, headers trace-id (Fetch)" in told(found)
    assert "--topic orders:1 --to-offset 48" in found.commands[1]
    assert "--partition 1 --offset 47" in found.commands[0]
    # A backlog on the other partition as well, but that is not what is wrong here.
    assert findings_of(evidence(STORY)) == ["D03"]


def test_since_when() -> None:
    """The offsets topic knows the commit from before the first look; and the member has nothing else to do."""
    busy = evidence(STORY, commits={tp("orders-1"): (CommitStep(START_MS - 300_000, 47),)})
    (found,) = alone("D03", busy)
    assert "is stuck at offset 47 for 6 min" in found.words
    assert found.certainty is Certainty.LIKELY
    idle = STORY.replace("110/210 160/260", "210/210 260/260")
    (found,) = alone("D03", replace(evidence(idle), commits=busy.commits))
    assert found.certainty is Certainty.CERTAIN


def test_the_first_look_came_before_the_first_commit() -> None:
    """What is not committed yet is no other commit."""
    assert alone("D03", evidence(STORY.replace("47/90 47/140", "-/90 47/140")))


def test_a_moment_is_a_guess() -> None:
    """Some looks within seconds: it may be the rhythm of commits."""
    assert not alone("D03", evidence(STORY, every_s=1))
    (found,) = alone("D03", evidence(STORY, every_s=2))
    assert (found.severity, found.certainty) == (Severity.WARNING, Certainty.GUESS)
    assert not alone(
        "D03",
        evidence(
            STORY.replace(" 160/260", "")
            .replace(" 110/210", "")
            .replace(" 47/190 47/240", "")
            .replace(" 200/200 250/250", "")
        ),
    )


def test_look_alikes() -> None:
    """Nobody moves; nothing to read; it did move; it was only just given to this member; a transaction is open."""
    for before, after in (
        ("10/100 60/160 110/210 160/260", "10/100"),  # the member does nothing at all
        ("47/90 47/140 47/190 47/240", "47/47"),
        ("47/90 47/140 47/190 47/240", "45/90 46/140 47/190 47/240"),
        ("Stable range", "PreparingRebalance range"),
        ("47/90 47/140 47/190 47/240", "47/90 47/140 47/190 47/240 stable=47"),
    ):
        changed = STORY.replace(before, after)
        assert changed != STORY
        assert not alone("D03", evidence(changed)), after


def test_commits_that_come_together() -> None:
    """Every minute, of all partitions: none has moved since the others did."""
    together = STORY.replace("60/160 110/210 160/260", "60/160 60/210 60/260").replace("47/90", "40/90")
    assert not alone("D03", evidence(together.replace("200/200 250/250", "150/200 150/250")))


def test_partitions_that_changed_hands() -> None:
    """Somebody else had it in the first two looks: it has been with this member for less time than it stands."""
    now = evidence(STORY)
    before = now.looks[0].groups["orders"]
    other = replace(before, members=tuple(replace(m, member_id=f"{m.member_id}-old") for m in before.members))
    former = [replace(each, groups={"orders": other}) for each in now.looks[:2]]
    assert not alone("D03", replace(now, looks=(*former, *now.looks[2:])))
