"""D13: instances replaced one by one, without static membership."""

from tests.monitor.doctor.checks import alone, told
from tests.monitor.doctor.test_d09_rebalance_storm import lived
from tests.monitor.doctor.test_d10_member_flaps import flapping

from rota.monitor.doctor import diagnose
from rota.monitor.findings import Severity

LOOK = """
    group orders classic Stable range
      orders-7f9-b0: orders-0
      orders-7f9-b1: orders-1
      orders-7f9-b2: orders-2
      orders-0 5/5
"""


def deploy(old: str = "orders-5c4-a", new: str = "orders-7f9-b", more: str = "") -> str:
    lines = [f"{n} joins {old}{n}@10.0.0.{n} {more}{n if more else ''}" for n in range(3)]
    for n in range(3):
        lines += [
            f"{100 + 20 * n} leaves {old}{n} member-left",
            f"{108 + 20 * n} joins {new}{n}@10.0.1.{n} {more}{n if more else ''}",
        ]
    return "\n".join(lines)


def test_a_deploy() -> None:
    """How many were replaced, how many rebalances that made, and by whom the first was."""
    (found,) = alone("D13", lived(deploy(), 170, LOOK))
    assert found.words.startswith("3 members were replaced one by one from ")
    assert found.words.endswith("in 48.0 s: a deploy without static membership, which cost 6 rebalances")
    assert "such as orders-5c4-a0 (10.0.0.0) by orders-7f9-b0 (10.0.1.0)" in told(found)


def test_the_storm_that_it_makes() -> None:
    """One finding, with the deploy as its cause; somebody meant it, so it is no alarm."""
    seen = lived(
        deploy() + "\n170 leaves orders-7f9-b2 member-left\n171 joins orders-8a1-b2@10.0.2.2", 180, LOOK
    )
    (found,) = [each for each in diagnose(seen).findings if each.rule in ("D09", "D13")]
    assert (found.rule, found.cause, found.severity) == ("D09", "D13", Severity.WARNING)


def test_look_alikes() -> None:
    """Static members; scaling down and later up again by others; one member that flaps."""
    assert not alone("D13", lived(deploy(more="static=orders-"), 170, LOOK))
    assert not alone("D13", lived(deploy(new="mails-7f9-b"), 170, LOOK))
    assert not alone("D13", lived(flapping(), 80))
