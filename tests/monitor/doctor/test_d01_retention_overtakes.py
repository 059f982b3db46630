"""D01: records will be deleted before they are read."""

from tests.monitor.doctor.cases import evidence, tp
from tests.monitor.doctor.checks import alone, findings_of, told

from rota.monitor.findings import Certainty, Severity

HOUR_MS = 3_600_000


def group(lines: str, topic: str = f"topic orders retention.ms={24 * HOUR_MS}") -> str:
    return f"group orders classic Stable range\na: orders-0 orders-1\n{lines}\n{topic}"


def test_the_first_unread_record_is_nearly_as_old_as_the_retention() -> None:
    """22 of 24 hours are over: the number that waits, the time that is left, and how to win time."""
    (found,) = alone(
        "D01",
        evidence(group("orders-0 100/600 100/610\norders-1 5/5 5/5"), late={"orders-0": 22.5 * 3600}),
    )
    assert found.words == (
        "orders-0 will lose records before they are read: the first go in about 1 h 30 min, 510 wait to be read"
    )
    assert (found.severity, found.certainty, found.partitions) == (
        Severity.CRITICAL,
        Certainty.CERTAIN,
        (tp("orders-0"),),
    )
    assert "left of that time: 6 %" in told(found)
    assert f"--add-config retention.ms={48 * HOUR_MS}" in found.commands[0]


def test_an_early_warning() -> None:
    """A fifth of the time is left, and more than an hour."""
    (found,) = alone("D01", evidence(group("orders-0 100/600"), late={"orders-0": 19.5 * 3600}))
    assert found.severity is Severity.WARNING


def test_a_group_that_catches_up_in_time() -> None:
    """Late, but done long before the first record goes: nothing is said."""
    falling = "orders-0 " + " ".join(f"{100 * n}/900" for n in range(7))
    assert not alone("D01", evidence(group(falling), late={"orders-0": 22 * 3600}))


def test_topics_that_keep_everything() -> None:
    """No retention time, or compaction alone: age says nothing."""
    late = {"orders-0": 22.5 * 3600}
    for topic in ("topic orders retention.ms=-1", f"topic orders compact retention.ms={24 * HOUR_MS}"):
        assert not alone("D01", evidence(group("orders-0 100/600", topic), late=late))
    assert not alone("D01", evidence(group("orders-0 100/600"), late={"orders-0": 3600}))


def test_the_log_is_cut_faster_than_the_group_reads() -> None:
    """Retention by size: the beginning comes nearer, 40 a second against 5."""
    (found,) = alone(
        "D01",
        evidence(
            group(
                "orders-0 1000/5000 1050/5400 1100/5800 start=0,400,800",
                "topic orders retention.ms=-1 retention.bytes=1000",
            )
        ),
    )
    assert (found.severity, found.certainty) == (Severity.CRITICAL, Certainty.LIKELY)
    assert "the first go in about 8.6 s" in found.words
    assert "beginning of the log moves: 40/s" in told(found)


def test_the_log_is_cut_behind_a_group_that_reads_as_fast() -> None:
    """The beginning moves, the commit moves as fast: that is how retention works."""
    assert not alone("D01", evidence(group("orders-0 1000/1100 1400/1500 start=0,400")))


def test_records_that_somebody_deleted_once() -> None:
    """One step is no rate."""
    assert not alone("D01", evidence(group("orders-0 1000/5000 1050/5400 1100/5800 start=0,800,800")))


def test_what_is_lost_is_not_threatened() -> None:
    """D02 is told instead."""
    assert findings_of(evidence(group("orders-0 10/600 start=100"), late={"orders-0": 24 * 3600}))[0] == "D02"
