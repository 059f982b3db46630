"""D21: the group's coordinator is not there."""

from dataclasses import replace

import pytest
from tests.monitor.doctor.cases import evidence
from tests.monitor.doctor.checks import alone, told

from rota.coordinator.coordinator import partition_for
from rota.model import ErrorCode
from rota.monitor.facts import Node, TopicFacts
from rota.monitor.findings import Certainty, Finding, Severity

AWAY = evidence("group orders classic Unknown -\ntopic orders 2")
NODES = (Node(1, "a", 1), Node(2, "b", 1))
HOME = partition_for("orders", 50)


def topic(leader: int | None = 1, in_sync: tuple[int, ...] = (1, 2, 3), least: str = "") -> TopicFacts:
    """`__consumer_offsets` with three replicas each; all but the group's own partition are well."""
    leaders: dict[int, int | None] = dict.fromkeys(range(50), 1)
    return TopicFacts(
        "__consumer_offsets",
        "id",
        leaders | {HOME: leader},
        dict.fromkeys(range(50), (1, 2, 3)),
        dict.fromkeys(range(50), (1, 2, 3)) | {HOME: in_sync},
        {"min.insync.replicas": least} if least else {},
        internal=True,
    )


def of(**rest: object) -> list[Finding]:
    return alone("D21", replace(AWAY, nodes=NODES, **rest))  # type: ignore[arg-type]


def test_nobody_leads_the_partition_of_the_group() -> None:
    """The partition is that of the group's hash; its brokers are named."""
    (found,) = of(offsets_topic=topic(leader=None, in_sync=()))
    assert found.words == (
        f"the group has no coordinator: it is recorded in __consumer_offsets-{HOME}, which nobody leads, so no "
        "member can commit, join or leave"
    )
    assert (found.severity, found.certainty) == (Severity.CRITICAL, Certainty.CERTAIN)
    assert "its replicas: broker 1, 2 and 3 (Metadata)" in told(found)
    assert "brokers that answer: 1 and 2" in told(found)


def test_another_groups_partition_is_not_ours() -> None:
    """Some other partition has no leader."""
    other = topic()
    leaders = {**other.partitions, (HOME + 1) % 50: None}
    assert not of(offsets_topic=replace(other, partitions=leaders))


def test_too_few_replicas_are_in_sync() -> None:
    """One where two must be: commits are refused. Where nobody knows how many must be, nothing is said."""
    (found,) = of(offsets_topic=topic(in_sync=(1,), least="2"))
    assert found.severity == Severity.WARNING
    assert "1 replica is in sync, and 2 must be" in found.words
    assert "Start broker 2 and 3 again" in found.advice
    assert not of(offsets_topic=topic(in_sync=(1,)))
    assert not of(offsets_topic=topic(in_sync=(1, 2), least="2"))


@pytest.mark.parametrize("code", [ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.NOT_COORDINATOR])
def test_the_brokers_answer_that_there_is_none(code: ErrorCode) -> None:
    """Without a look at the topic, and although its partition is led."""
    for known in (None, topic()):
        (found,) = of(offsets_topic=known, failure="could not describe group orders: …", failure_code=code)
        assert found.certainty == Certainty.LIKELY
        assert f"answer: {code.name}" in told(found)


def test_a_coordinator_that_has_just_taken_over() -> None:
    """It reads its records."""
    (found,) = of(failure="x", failure_code=ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
    assert found.words == "the group's coordinator reads its records and does not answer yet"


def test_nobody_answers() -> None:
    """It may be the network between here and the broker: a guess."""
    (found,) = of(failure="x", failure_code=ErrorCode.REQUEST_TIMED_OUT, offsets_topic=topic())
    assert found.certainty == Certainty.GUESS
    assert found.words.startswith("the group's coordinator does not answer")


def test_other_failures_are_not_the_coordinators() -> None:
    """Who may not look at the group learns nothing about its coordinator."""
    assert not of(failure="x", failure_code=ErrorCode.GROUP_AUTHORIZATION_FAILED, offsets_topic=topic())
    assert not of()
