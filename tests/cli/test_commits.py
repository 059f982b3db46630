"""What a consumer has printed and not committed yet: `rota.cli.commits`, without any broker."""

from dataclasses import dataclass, field

import pytest
from confluent_kafka import KafkaError, TopicPartition

from rota.cli.commits import Commits
from rota.model import ErrorCode
from rota.model import TopicPartition as Partition

WAIT_COORD = -180  # librdkafka's own: no coordinator came back in time


@dataclass
class Client:
    """Notes the commits that it is asked for."""

    asked: list[list[tuple[str, int, int]]] = field(default_factory=list)

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> None:
        assert asynchronous, (
            "a commit that is waited for keeps the command still while the coordinator is away"
        )
        self.asked.append([(tp.topic, tp.partition, tp.offset) for tp in offsets])


@dataclass(frozen=True)
class Printed:
    """A record, as far as it matters here."""

    at: int

    def topic(self) -> str:
        return "orders"

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self.at


def fail(commits: Commits, offset: int, code: int) -> None:
    commits.answered(KafkaError(code), [TopicPartition("orders", 0, offset)])


def sent(*offsets: int) -> tuple[Commits, Client]:
    """Commits that were sent one after another; none is answered yet."""
    commits, client = Commits(), Client()
    for offset in offsets:
        commits.printed(Printed(offset - 1))  # type: ignore[arg-type]
        commits.send(client)  # type: ignore[arg-type]
    return commits, client


@pytest.mark.parametrize(
    "code",
    [WAIT_COORD, KafkaError._TRANSPORT, ErrorCode.NOT_COORDINATOR],
)
def test_what_failed_for_now_is_sent_again(code: int, capsys: pytest.CaptureFixture[str]) -> None:
    commits, client = sent(1)
    fail(commits, 1, code)
    commits.send(client)  # type: ignore[arg-type]
    commits.send(client)  # type: ignore[arg-type]
    assert client.asked == [[("orders", 0, 1)]] * 2
    commits.answered(None, [TopicPartition("orders", 0, 1)])
    commits.finish()
    assert capsys.readouterr().err == ""


def test_what_was_overtaken_is_not_sent_again() -> None:
    commits, client = sent(1, 2)
    fail(commits, 1, WAIT_COORD)
    commits.send(client)  # type: ignore[arg-type]
    assert client.asked == [[("orders", 0, 1)], [("orders", 0, 2)]], "an offset never goes back"


def test_what_is_somebody_else_s_is_not_sent_again(capsys: pytest.CaptureFixture[str]) -> None:
    commits, client = sent(1)
    commits.forget([Partition("orders", 0)])
    fail(commits, 1, WAIT_COORD)
    commits.send(client)  # type: ignore[arg-type]
    assert len(client.asked) == 1
    assert "these records may come again" in capsys.readouterr().err


def test_a_refusal_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    commits, client = sent(1)
    fail(commits, 1, ErrorCode.UNKNOWN_MEMBER_ID)
    commits.send(client)  # type: ignore[arg-type]
    assert len(client.asked) == 1
    assert capsys.readouterr().err.startswith("not committed: ")


def test_what_is_left_at_the_end_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    commits, _ = sent(1)
    fail(commits, 1, WAIT_COORD)
    commits.finish()
    assert "these records may come again" in capsys.readouterr().err
