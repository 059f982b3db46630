"""D08: shares of very different sizes."""

from tests.monitor.doctor.cases import evidence
from tests.monitor.doctor.checks import alone, findings_of, told
from tests.shell import words_in_a_shell

from rota.monitor.findings import Certainty

TOPICS = "subscribes=a,b,c"
UNEVEN = f"""
    group orders classic Stable range
      m1 {TOPICS}: a-0 b-0 c-0
      m2 {TOPICS}: a-1 b-1
      m3 {TOPICS}:
      a-0 5/5
      a-1 5/5
      b-0 5/5
      b-1 5/5
      c-0 5/5
"""


def test_range_piles_up_on_the_first_member() -> None:
    """Who has how many; and that somebody is idle is a part of it."""
    (found,) = alone("D08", evidence(UNEVEN))
    assert found.words == (
        "range gives m1 3 partitions and m3 none: whoever holds more is the first to be late"
    )
    assert found.certainty is Certainty.CERTAIN
    assert "partitions: 5 of 3 topics (DescribeGroups)" in told(found)
    assert "range shares out each topic by itself" in found.advice
    assert findings_of(evidence(UNEVEN)) == ["D08"]
    assert "--topic a:2 --topic b:2 --topic c:1" in found.commands[1]


def test_as_even_as_can_be() -> None:
    """Five partitions and three members: 2, 2 and 1."""
    assert not alone(
        "D08",
        evidence(f"""
            group orders classic Stable range
              m1 {TOPICS}: a-0 b-0
              m2 {TOPICS}: a-1 b-1
              m3 {TOPICS}: c-0
              a-0 5/5
        """),
    )


def test_members_that_may_not_read_the_same() -> None:
    """Different subscriptions: an even share is not possible."""
    assert not alone("D08", evidence(UNEVEN.replace(f"m3 {TOPICS}:", "m3 subscribes=c:")))


def test_on_the_way_to_an_even_share() -> None:
    """A member that waits for what others let go; a group that rebalances."""
    assert not alone("D08", evidence(UNEVEN.replace(f"m3 {TOPICS}:", f"m3 {TOPICS} target=c-0:")))
    assert not alone("D08", evidence(UNEVEN.replace("Stable", "PreparingRebalance")))


def test_the_plan_s_command_line_has_names_as_they_are() -> None:
    """Whatever a cluster calls its topics, a shell obeys none of it."""
    strange = UNEVEN.replace("a-", "$(id);a-").replace("=a,", "=$(id);a,")
    (found,) = alone("D08", evidence(strange))
    assert words_in_a_shell(found.commands[1])[-6:-4] == ["--topic", "$(id);a:2"]
