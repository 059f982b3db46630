"""`rota dlq`: letters are shown as they are, and sent back once, whatever interrupts it."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.command import LIMIT_S, Command
from tests.consumer.desk import Desk
from tests.kafka.ports import wait_until

from rota.consumer.failed.letters import Letter, Origin, origin_of

if TYPE_CHECKING:
    from tests.brokers import BrokerUnderTest

NewName = Callable[[str], str]
AT_MS = 1_750_000_000_000


@pytest.fixture
def desk(broker: BrokerUnderTest) -> Desk:
    return Desk(broker.bootstrap_servers)


class Letters:
    """A topic of orders, and one of dead letters that come from it."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.topic = desk.topic("orders", 2)
        self.dlq = desk.topic("orders-dlq", 2)

    def write(
        self, count: int, *, exceptions: tuple[str, ...] = ("builtin.ValueError",), start: int = 0
    ) -> None:
        self.desk.write(
            self.dlq, [self.record(n, exceptions[n % len(exceptions)]) for n in range(start, start + count)]
        )

    def record(self, number: int, exception: str) -> dict[str, Any]:
        letter = Letter(
            Origin(self.topic, number % 2, number, AT_MS, 3),
            "billing",
            exception,
            f"no {number}",
            AT_MS + 1_000 * number,
            "Traceback …",
        )
        headers = [("trace-id", b"\x00\xff"), *letter.headers()]
        return {
            "key": b"k%d" % number,
            "value": b'{"order": %d}' % number,
            "partition": number % 2,
            "headers": headers,
        }

    def sent(self, topic: str | None = None) -> Counter[int]:
        """The numbers of the orders that were sent back, and how often."""
        return Counter(
            json.loads(message.value() or b"")["order"] for message in self.desk.read(topic or self.topic)
        )


@pytest.fixture
def letters(desk: Desk) -> Letters:
    return Letters(desk)


def test_the_table_shows_where_each_comes_from_and_why(cli: Command, letters: Letters) -> None:
    letters.write(3)
    said = cli.good("dlq", "show", letters.dlq)
    assert said.lines[0].split() == [
        "LETTER",
        "FAILED-AT",
        "GROUP",
        "FROM",
        "ATTEMPTS",
        "EXCEPTION",
        "KEY",
        "VALUE",
    ]
    assert len(said.lines) == 4
    cells = said.lines[2].split()
    assert cells[0] == "1:0"
    assert cells[3:6] == ["billing", f"{letters.topic}-1@1", "3"]
    assert said.lines[2].endswith('builtin.ValueError: no 1  k1   {"order": 1}')


def test_json_says_everything(cli: Command, letters: Letters) -> None:
    letters.write(2)
    first, second = cli.good("dlq", "show", letters.dlq, "--json").json_lines()
    timestamp = second.pop("timestamp")
    assert abs(timestamp - time.time() * 1000) < 3_600_000
    assert second == {
        "topic": letters.dlq,
        "partition": 1,
        "offset": 0,
        "origin": {"topic": letters.topic, "partition": 1, "offset": 1, "timestamp": AT_MS},
        "group": "billing",
        "attempts": 3,
        "exception": {"type": "builtin.ValueError", "message": "no 1", "trace": "Traceback …"},
        "failedAt": AT_MS + 1_000,
        "key": "k1",
        "value": '{"order": 1}',
        "headers": [{"name": "trace-id", "valueBase64": "AP8="}],
    }
    assert first["offset"] == 0


def test_the_latest_are_shown_and_the_rest_is_counted(cli: Command, letters: Letters) -> None:
    letters.write(20)
    said = cli("dlq", "show", letters.dlq, "--limit", "3")
    assert said.code == 0
    assert [line.split()[0] for line in said.lines[1:]] == ["1:8", "0:9", "1:9"]
    assert said.err == "\nThe last 3 of 20: --limit shows more, --summary counts them.\n"


def test_some_can_be_chosen(cli: Command, letters: Letters) -> None:
    letters.write(9, exceptions=("ValueError", "requests.exceptions.Timeout", "KeyError"))

    def numbers(*options: str) -> list[int]:
        found = cli.good("dlq", "show", letters.dlq, "--json", *options).json_lines()
        return sorted(json.loads(each["value"])["order"] for each in found)

    assert numbers("--only-exception", "Timeout") == [1, 4, 7]
    assert numbers("--only-exception", "Timeout", "--only-exception", "KeyError", "--limit", "2") == [7, 8]
    assert numbers("--offset", "1:2", "--offset", "0:0") == [0, 5]
    assert numbers("--only-group", "shipping") == []
    since = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(AT_MS / 1000 + 6))
    assert numbers("--from", since) == [6, 7, 8]
    assert numbers("--from", "1h") == []


@pytest.mark.parametrize("command", ["show", "show --summary", "replay", "replay --execute"])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            "--only-exception Timeouterror",
            "no letter in {} has the exception Timeouterror: there are ValueError (2), requests.exceptions.Timeout (1)",
        ),
        ("--offset 9:0", "--offset 9:0: {} has no partition 9; the last is 1"),
        ("--offset 0:99999", "--offset 0:99999 does not exist: {}-0 holds offsets 0 to 1"),
    ],
)
def test_what_is_named_and_does_not_exist(
    cli: Command, letters: Letters, command: str, options: str, words: str
) -> None:
    letters.write(3, exceptions=("ValueError", "requests.exceptions.Timeout"))
    said = cli("dlq", *command.split(), letters.dlq, *options.split())
    assert said.code in (1, 2)
    assert said.err.splitlines()[-1] == f"error: {words.format(letters.dlq)}"
    assert not letters.sent()


def test_records_that_are_no_dead_letters_are_called_so(cli: Command, letters: Letters) -> None:
    letters.desk.write(letters.topic, [{"value": b"1"}, {"value": b"2"}])
    words = "2 of these 2 records are no dead letters: they do not say where they come from."
    for options in ((), ("--json",), ("--summary",), ("--summary", "--json")):
        assert cli("dlq", "show", letters.topic, *options).err.splitlines()[-1] == words
    assert f"0 dead letters in {letters.topic}." in cli("dlq", "show", letters.topic, "--summary").err


def test_the_summary_counts_by_exception(cli: Command, letters: Letters) -> None:
    letters.write(5, exceptions=("ValueError", "ValueError", "KeyError"))
    letters.desk.write(letters.dlq, [{"value": b"not ours"}])
    said = cli("dlq", "show", letters.dlq, "--summary")
    rows = [line.split() for line in said.lines]
    assert rows[0] == ["LETTERS", "EXCEPTION", "GROUP", "FROM", "FIRST", "LAST", "LATEST-MESSAGE"]
    assert rows[1][:4] == ["4", "ValueError", "billing", letters.topic]
    assert rows[1][-2:] == ["no", "4"]
    assert rows[3][:4] == ["1", "-", "-", "-"] or rows[2][:4] == ["1", "-", "-", "-"]
    assert said.err == (
        f"5 dead letters in {letters.dlq}.\n"
        "1 of these 6 records is no dead letter: it does not say where it comes from.\n"
    )
    document = cli("dlq", "show", letters.dlq, "--summary", "--json").json()
    assert document["letters"] == 6
    assert document["kinds"][0] == {
        "letters": 4,
        "exception": "ValueError",
        "group": "billing",
        "from": letters.topic,
        "firstFailedAt": AT_MS,
        "lastFailedAt": AT_MS + 4_000,
        "latestMessage": "no 4",
    }


def test_what_a_terminal_would_obey_is_escaped(cli: Command, letters: Letters) -> None:
    bell = Letter(Origin(letters.topic, 0, 1), "\x07g", "E\x1b[2Jrror", "\x1b]0;title\x07", AT_MS).headers()
    letters.desk.write(letters.dlq, [{"key": b"\x1b[2J", "value": b"a\nb" + b"\xff" * 100, "headers": bell}])
    summary = cli("dlq", "show", letters.dlq, "--summary")
    said = cli.good("dlq", "show", letters.dlq)
    assert not set("\x1b\x07") & set(said.out + summary.out)
    assert len(said.lines) == 2
    assert "\\x1b[2J" in said.lines[1]
    assert "a\\nb\\xff" in said.lines[1]
    assert said.lines[1].endswith("…")


def test_nothing_is_sent_without_being_told_to(cli: Command, letters: Letters) -> None:
    letters.write(4)
    said = cli.good("dlq", "replay", letters.dlq)
    assert said.lines[1].split() == [letters.topic, "4"]
    assert said.lines[-1] == "4 letters would be sent; --execute sends them."
    assert letters.sent() == Counter()


def test_they_go_back_to_where_they_were_and_once(cli: Command, letters: Letters) -> None:
    letters.write(11)
    said = cli.good("dlq", "replay", letters.dlq, "--execute")
    assert said.lines[-1] == "11 letters sent."
    messages = letters.desk.read(letters.topic, 11)
    for message in messages:
        number = json.loads(message.value() or b"")["order"]
        assert message.key() == b"k%d" % number
        assert message.partition() == number % 2
        where = f"{letters.dlq}-{number % 2}@{number // 2}".encode()
        assert message.headers() == [("trace-id", b"\x00\xff"), ("rota-replayed", where)]
    again = cli.good("dlq", "replay", letters.dlq, "--execute", "--json").json()
    assert (again["letters"], again["executed"]) == (0, True)
    letters.write(2, start=11)
    assert cli.good("dlq", "replay", letters.dlq, "--execute").lines[-1] == "2 letters sent."
    assert letters.sent() == Counter(range(13))


def test_those_that_were_left_out_are_sent_by_a_later_replay(cli: Command, letters: Letters) -> None:
    letters.write(12, exceptions=("ValueError", "KeyError", "OSError"))
    execute = ("dlq", "replay", letters.dlq, "--execute")
    cli.good(*execute, "--only-exception", "KeyError")
    assert letters.sent() == Counter([1, 4, 7, 10])
    cli.good(*execute, "--offset", "0:4")
    assert letters.sent() == Counter([1, 4, 7, 8, 10])
    said = cli(*execute, "--offset", "0:4")
    assert (said.code, said.lines) == (0, ["0 letters sent."])
    assert said.err == "1 letter sent before already (--again sends them again).\n"
    cli.good(*execute, "--limit", "2")
    assert letters.sent().total() == 7
    cli.good(*execute)
    assert letters.sent() == Counter(range(12))
    cli.good(*execute, "--again", "--offset", "0:4")
    assert letters.sent() == Counter([*range(12), 8])


def test_to_another_topic_they_still_say_where_they_were_first(cli: Command, letters: Letters) -> None:
    retry = letters.desk.topic("orders.billing.retry.10s")
    letters.write(2)
    cli.good("dlq", "replay", letters.dlq, "--to", retry, "--execute")
    first, second = letters.desk.read(retry, 2)
    assert {origin_of(message, [retry])[:3] for message in (first, second)} == {  # type: ignore[arg-type]
        (letters.topic, 0, 0),
        (letters.topic, 1, 1),
    }
    assert letters.sent() == Counter()


def test_records_that_do_not_say_where_they_come_from(cli: Command, letters: Letters) -> None:
    letters.write(1)
    letters.desk.write(letters.dlq, [{"value": b'{"order": 99}'}])
    said = cli("dlq", "replay", letters.dlq, "--execute")
    assert (said.code, said.lines[-1]) == (1, "1 letter sent.")
    assert said.err == (
        f"error: 1 record in {letters.dlq} does not say where to go back to, and stayed: name a topic with --to\n"
    )
    cli.good("dlq", "replay", letters.dlq, "--to", letters.topic, "--execute")
    assert letters.sent() == Counter([0, 99])


def test_headers_that_lead_back_here_or_into_the_brokers_own_topics_are_not_followed(
    cli: Command, letters: Letters
) -> None:
    letters.write(1)
    for forged in (letters.dlq, "__consumer_offsets", "__transaction_state"):
        headers = Letter(Origin(forged, 0, 1), "billing", "Error", "", AT_MS).headers()
        letters.desk.write(letters.dlq, [{"value": b"{}", "headers": headers}])
    said = cli("dlq", "replay", letters.dlq, "--execute")
    assert (said.code, said.lines[-1]) == (1, "1 letter sent.")
    assert "3 records" in said.err
    assert "do not say where to go back to, and stayed: name a topic with --to" in said.err


def test_a_letter_whose_topic_is_gone_stays_and_holds_up_no_other(cli: Command, letters: Letters) -> None:
    desk = letters.desk
    gone = desk.name("gone")
    headers = Letter(Origin(gone, 0, 5), "billing", "ValueError", "", AT_MS).headers()
    forged = Letter(Origin("..", 0, 5), "billing", "ValueError", "", AT_MS).headers()
    desk.write(letters.dlq, [{"value": b'{"order": 5}', "partition": 0, "headers": headers}])
    letters.write(2)
    why = f"error: 1 letter in {letters.dlq} comes from a topic that does not exist ({gone}), and stayed: "
    for more, last in (
        ((), "2 letters would be sent; --execute sends them."),
        (("--execute",), "2 letters sent."),
    ):
        said = cli("dlq", "replay", letters.dlq, *more)
        assert (said.code, said.lines[-1]) == (1, last)
        assert said.err == f"{why}make the topic, or name another one with --to\n"
    desk.write(letters.dlq, [{"value": b'{"order": 6}', "partition": 0, "headers": forged}])
    again = cli("dlq", "replay", letters.dlq, "--execute", "--json")
    assert again.code == 1
    assert (again.json()["letters"], again.json()["toMissingTopics"]) == (0, {"..": 1, gone: 1})
    assert "2 letters" in again.err
    desk.cluster.create_topic(gone, partitions=1)
    assert cli("dlq", "replay", letters.dlq, "--execute").lines[-1] == "1 letter sent."
    assert letters.sent() == Counter([0, 1])
    assert letters.sent(gone) == Counter([5])


def test_kill_9_in_the_middle_neither_loses_nor_repeats_a_letter(cli: Command, letters: Letters) -> None:
    count = 6_000
    letters.write(count)
    execute = ("dlq", "replay", letters.dlq, "--execute")

    def ends() -> int:
        partitions = [*letters.desk.cluster.end_offsets(_partitions(letters)).values()]
        return sum(end or 0 for end in partitions)

    killed = 0
    for _ in range(3):
        before = ends()
        with cli.start(*execute) as running:
            wait_until("it sends", lambda: ends() > before + 700 or running.process.poll() is not None)  # noqa: B023
            killed += running.process.poll() is None
            running.process.kill()
            running.process.wait(LIMIT_S)
    assert killed, "it was faster than the test: write more letters"
    said = cli(*execute)
    assert said.code == 0, said
    assert letters.sent() == Counter(range(count))


def test_two_replays_at_once_send_each_letter_once(cli: Command, letters: Letters) -> None:
    letters.write(8_000)
    execute = ("dlq", "replay", letters.dlq, "--execute")
    with cli.start(*execute) as first:
        wait_until("it sends", lambda: any(letters.desk.cluster.end_offsets(_partitions(letters)).values()))
        second = cli(*execute)
        out, err = first.process.communicate(timeout=LIMIT_S)
    assert second.code == 0, second
    assert first.process.returncode in {0, 1}
    if first.process.returncode:
        assert "another replay of the same topic has begun" in err
    assert letters.sent() == Counter(range(8_000))
    told = sum(int(lines.splitlines()[-1].split()[0].replace(",", "")) for lines in (out, second.out))
    assert told == 8_000


def test_ctrl_c_ends_it_between_two_letters(cli: Command, letters: Letters) -> None:
    letters.write(6_000)
    with cli.start("dlq", "replay", letters.dlq, "--execute") as running:
        wait_until("it sends", lambda: any(letters.desk.cluster.end_offsets(_partitions(letters)).values()))
        said = running.stop()
    if said.code == 130:
        assert said.err.endswith("Stopped: the same command goes on from here.\n")
    sent = int(said.lines[-1].split()[0].replace(",", ""))
    assert letters.sent().total() == sent
    cli("dlq", "replay", letters.dlq, "--execute")
    assert letters.sent() == Counter(range(6_000))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("show", "{topic}", "--offset", "7"),
            "--offset '7': expected a partition and an offset, such as 0:17",
        ),
        (
            ("show", "{topic}", "--from", "soon"),
            "--from 'soon' is no time such as 15m, 2h, 14:02 or 2026-11-21T14:02",
        ),
        (("replay", "{topic}", "--to", "{topic}"), "the letters are there already"),
    ],
)
def test_wrong_usage(cli: Command, new_name: NewName, arguments: tuple[str, ...], words: str) -> None:
    said = cli("dlq", *(each.format(topic="orders-dlq") for each in arguments))
    assert (said.code, said.out) == (2, "")
    assert words in said.err


@pytest.mark.parametrize("command", ["show", "replay"])
def test_an_unknown_topic(cli: Command, new_name: NewName, command: str) -> None:
    topic = new_name("absent")
    said = cli("dlq", command, topic)
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(f"error: topic {topic} does not exist at {cli.bootstrap_servers}")


def test_an_empty_topic(cli: Command, letters: Letters) -> None:
    said = cli("dlq", "show", letters.dlq)
    assert (said.code, said.out, said.err) == (0, "", f"No dead letters in {letters.dlq}.\n")
    assert cli.good("dlq", "replay", letters.dlq, "--execute").lines == ["0 letters sent."]
    said = cli("dlq", "replay", letters.dlq, "--offset", "0:3")
    assert (said.code, said.lines[-1]) == (1, "0 letters would be sent; --execute sends them.")
    assert said.err == f"error: --offset 0:3 does not exist: {letters.dlq}-0 is empty\n"


def _partitions(letters: Letters) -> list[Any]:
    from rota.model import TopicPartition

    return [TopicPartition(letters.topic, number) for number in range(2)]
