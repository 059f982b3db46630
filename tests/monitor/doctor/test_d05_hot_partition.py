"""D05: one partition gets most of the traffic."""

from tests.monitor.doctor.cases import evidence, tp
from tests.monitor.doctor.checks import alone, findings_of, told
from tests.monitor.doctor.test_d04_slow_handler import course

from rota.monitor.findings import Certainty

GROUP = "group orders classic Stable range\na: orders-0\nb: orders-1\nc: orders-2\n"
WELL = course(490, 500, 100, 100)


def test_a_partition_gets_most_and_lags() -> None:
    """Its share of the traffic; more members would not help, and neither does D04 say that they would."""
    text = f"{GROUP}orders-0 {WELL}\norders-1 {WELL}\norders-2 {course(0, 500, 200, 800)}"
    (found,) = alone("D05", evidence(text))
    assert found.words == (
        "orders-2 gets 80 % of the topic's records and lags 4,100 behind, the other 2 together 20: "
        "adding members will not help"
    )
    assert (found.certainty, found.partitions, found.members) == (
        Certainty.LIKELY,
        (tp("orders-2"),),
        ("c-id",),
    )
    assert "orders-2: 80/s come, lag 4,100" in told(found)
    assert findings_of(evidence(text)) == ["D05"]


def test_by_what_is_kept_where_nothing_comes() -> None:
    """One look: the hot partition has more records than the others, and its lag."""
    (found,) = alone("D05", evidence(f"{GROUP}orders-0 500/500\norders-1 400/400\norders-2 500/9000"))
    assert found.certainty is Certainty.GUESS
    assert "orders-2: 9,000 records kept, lag 8,500" in told(found)


def test_look_alikes() -> None:
    """Even traffic and one slow member; much traffic that is handled; a burst that is being worked off."""
    even = f"{GROUP}orders-0 {WELL}\norders-1 {WELL}\norders-2 {course(0, 500, 10, 100)}"
    assert not alone("D05", evidence(even))
    handled = f"{GROUP}orders-0 {WELL}\norders-1 {WELL}\norders-2 {course(490, 500, 800, 800)}"
    assert not alone("D05", evidence(handled))
    # Nothing was committed in the first look: nobody knows how fast it is.
    new = f"{GROUP}orders-0 {WELL}\norders-1 {WELL}\norders-2 -/500 400/1300"
    assert not alone("D05", evidence(new))
    burst = f"{GROUP}orders-0 {WELL}\norders-1 {WELL}\norders-2 {course(0, 9000, 900, 800)}"
    assert not alone("D05", evidence(burst))


def test_a_topic_with_one_partition_has_no_hot_one() -> None:
    """There is nothing to compare it with."""
    text = f"group orders classic Stable range\na: orders-0\norders-0 {course(0, 500, 200, 800)}"
    assert not alone("D05", evidence(text))
