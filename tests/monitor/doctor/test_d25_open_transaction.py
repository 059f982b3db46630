"""D25: an open transaction keeps readers waiting."""

import shlex
from dataclasses import replace

import pytest
from tests.monitor.doctor.cases import evidence, tp
from tests.monitor.doctor.checks import alone, told
from tests.monitor.doctor.lifetimes import at
from tests.shell import words_in_a_shell

from rota.monitor.doctor import OpenTransaction
from rota.monitor.findings import Certainty, Finding, Severity

WAITS = """
    group orders classic Stable range
      a: orders-0 orders-1
      orders-0 40/90 stable=40
      orders-1 90/90
"""
OPEN = OpenTransaction(
    tp("orders-0"),
    17,
    3,
    40,
    transactional_id="billing-1",
    state="Ongoing",
    since_ms=at(-840),
    timeout_ms=900_000,
)


def of(*transactions: OpenTransaction, text: str = WAITS) -> list[Finding]:
    return alone("D25", evidence(text, transactions=transactions))


def test_a_transaction_that_was_begun_and_not_ended() -> None:
    """The producer by name, how long, how many wait, and what ends it."""
    (found,) = of(OPEN)
    assert found.words == (
        "a transaction has been open in orders-0 for 14 min, by billing-1: 50 offsets behind it cannot be read by "
        "read_committed consumers"
    )
    assert (found.severity, found.certainty) == (Severity.WARNING, Certainty.LIKELY)
    assert "producer: billing-1, id 17, epoch 3, state Ongoing" in told(found)
    assert "aborts it when it is 15 min old" in found.advice
    (command,) = found.commands
    assert shlex.split(command)[3:] == ["describe", "--transactional-id", "billing-1"]


@pytest.mark.parametrize("name", ["it's", "a\x1b[2J\nb"])
def test_the_command_means_the_very_transaction_and_can_be_printed(name: str) -> None:
    (found,) = of(OPEN._replace(transactional_id=name))
    (command,) = found.commands
    assert command.isprintable()
    assert words_in_a_shell(command)[4:] == ["--transactional-id", name]


def test_one_that_lasts_seconds_is_worth_knowing() -> None:
    """And one of a moment is everybody's daily business."""
    (found,) = of(OPEN._replace(since_ms=at(-8)))
    assert found.severity == Severity.INFO
    assert not of(OPEN._replace(since_ms=at(-1)))


def test_a_transaction_that_its_coordinator_has_lost() -> None:
    """Hanging: no timeout ends it, an operator must."""
    (found,) = of(OPEN._replace(transactional_id=None, state="", since_ms=None, written_ms=at(-20)))
    assert "no coordinator knows it: it will never end" in found.words
    assert found.severity == Severity.WARNING
    (command,) = found.commands
    words = ["abort", "--topic", "orders", "--partition", "0", "--start-offset", "40"]
    assert shlex.split(command)[3:] == words


def test_a_transaction_that_its_coordinator_takes_for_ended() -> None:
    """The same with another state; while markers are being written nothing is lost."""
    (found,) = of(OPEN._replace(state="CompleteCommit", since_ms=None, written_ms=at(-20)))
    assert "no coordinator knows it" in found.words
    (found,) = of(OPEN._replace(state="PrepareCommit", since_ms=at(-20)))
    assert found.severity == Severity.INFO
    assert "no coordinator knows it" not in found.words


def test_a_group_that_reads_uncommitted_records() -> None:
    """It has committed beyond the last stable offset: it does not wait."""
    assert not of(OPEN, text=WAITS.replace("40/90", "70/90"))


def test_a_group_that_has_not_come_to_it() -> None:
    """A guess: what keeps it back now is something else."""
    (found,) = of(OPEN, text=WAITS.replace("40/90", "10/90"))
    assert found.certainty == Certainty.GUESS
    assert "The group has not come to it yet" in found.doubts


def test_one_transaction_in_several_partitions() -> None:
    """It is told once; another producer's is another finding."""
    both = WAITS.replace("orders-1 90/90", "orders-1 5/25 stable=5")
    second = OPEN._replace(partition=tp("orders-1"), start_offset=5)
    (found,) = of(OPEN, second, text=both)
    assert "in orders 0 and 1 for" in found.words
    assert "70 offsets" in found.words
    assert len(of(OPEN, second._replace(producer_id=18), text=both)) == 2


def test_without_a_word_about_producers() -> None:
    """DescribeProducers was refused: several looks in which the last stable offset does not move are a guess."""
    looks = evidence(WAITS.replace("40/90", "40/60 40/90 40/120"))
    (found,) = alone("D25", looks)
    assert found.certainty == Certainty.GUESS
    assert "find-hanging" in found.commands[0]
    assert not alone("D25", evidence(WAITS.replace("40/90 stable=40", "40/60 41/90 stable=40,41")))
    assert not alone("D25", replace(looks, looks=looks.looks[-1:]))


def test_everything_is_committed() -> None:
    """No transaction is open."""
    assert not of(text=WAITS.replace("stable=40", "stable=90"))
