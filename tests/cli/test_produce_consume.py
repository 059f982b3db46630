"""`rota produce` and `rota consume`: what was acknowledged is what is read, in order, and counted."""

import json
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.command import LIMIT_S, Command
from tests.rehearsal.terminal import Terminal

if TYPE_CHECKING:
    from tests.brokers import BrokerUnderTest
    from tests.kafka.tools import KafkaTools

NewName = Callable[[str], str]


@pytest.fixture
def topic(cli: Command, new_name: NewName) -> str:
    """A topic of three partitions."""
    name = new_name("web-events-partitioned")
    cli.good("topics", "create", name, "--partitions", "3")
    return name


def read_all(cli: Command, topic: str, count: int, *more: str) -> list[dict[str, object]]:
    limits = ("--max-messages", str(count), "--timeout-ms", "60000")
    return cli.good("consume", topic, "--from-beginning", *limits, "--json", *more).json_lines()


def test_every_acknowledged_event_is_read_and_keys_keep_their_partition(cli: Command, topic: str) -> None:
    said = cli.good("produce", topic, "--events", "--count", "500", "--rate", "0", "--keys", "20", "--json")
    summary = said.json()
    assert (summary["acknowledged"], summary["failed"]) == (500, 0)
    records = read_all(cli, topic, 500)
    counts = Counter(record["partition"] for record in records)
    assert counts == {entry["partition"]: entry["records"] for entry in summary["partitions"]}
    homes: dict[object, set[object]] = {}
    for record in records:
        homes.setdefault(record["key"], set()).add(record["partition"])
    assert len(homes) == 20
    assert all(len(partitions) == 1 for partitions in homes.values())
    for partition in counts:
        offsets = [record["offset"] for record in records if record["partition"] == partition]
        assert offsets == list(range(len(offsets)))
    numbers = sorted(json.loads(str(record["value"]))["event"] for record in records)
    assert numbers == list(range(1, 501))


def test_keys_land_where_java_s_producer_puts_them(
    cli: Command, broker: "BrokerUnderTest", kafka_jars: Path, topic: str
) -> None:
    from tests.kafka.tools import KafkaTools

    lines = "".join(f"user-{n}:java\n" for n in range(40))
    separator = ("--property", "parse.key=true", "--property", "key.separator=:")
    KafkaTools(broker.bootstrap_servers)("kafka-console-producer", "--topic", topic, *separator, stdin=lines)
    cli.good("produce", topic, "--key-separator", ":", stdin=lines.replace("java", "rota"))
    homes: dict[object, Counter[object]] = {}
    for record in read_all(cli, topic, 80):
        homes.setdefault(record["key"], Counter())[record["partition"]] += 1
    assert len(homes) == 40
    assert all(list(partitions.values()) == [2] for partitions in homes.values())


def test_lines_from_a_file_and_the_plain_layouts(cli: Command, topic: str, tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    file.write_bytes(b"k\tone\nk\ttwo\r\n")
    cli.good("produce", topic, "--file", str(file), "--key-separator", r"\t")
    read = ("consume", topic, "--from-beginning", "--max-messages", "2", "--timeout-ms", "60000")
    assert cli.good(*read).lines == ["one", "two"]
    columns = ("--print-timestamp", "--print-partition", "--print-offset", "--print-key")
    first = cli.good(*read, *columns).lines[0].split("\t")
    assert first[0].startswith("CreateTime:")
    assert first[1].startswith("Partition:")
    assert first[2:] == ["Offset:0", "k", "one"]
    own = cli.good(*read, "--format", r"{key}\t{offset} {value}").lines
    assert own == ["k\t0 one", "k\t1 two"]


def test_bytes_that_are_no_text_survive(cli: Command, topic: str) -> None:
    cli.good("produce", topic, stdin=b"\xff\xfe\n")
    (record,) = read_all(cli, topic, 1)
    assert record["valueBase64"] == "//4="
    assert record["key"] is None


def test_headers_that_the_client_cannot_read_do_not_end_it(
    cli: Command, broker: "BrokerUnderTest", topic: str
) -> None:
    from kafka import KafkaProducer  # type: ignore[import-untyped]

    class NoText(str):
        __slots__ = ()

        def encode(self, *_: object) -> bytes:
            return b"\xff"

    producer = KafkaProducer(bootstrap_servers=broker.bootstrap_servers)
    for name in [*["name"] * 50, NoText("name"), "name"]:
        producer.send(topic, value=b"v", key=b"k", headers=[(name, b"x")]).get(60)
    producer.close()
    records = read_all(cli, topic, 52)
    names = [header["name"] for record in records for header in record["headers"]]  # type: ignore[attr-defined]
    assert names == [*["name"] * 50, "unreadable", "name"]


def test_a_line_without_a_key_ends_it_after_those_before(cli: Command, topic: str) -> None:
    said = cli("produce", topic, "--key-separator", ",", stdin="a,1\nb2\nc,3\n")
    assert said.code == 1
    assert said.lines[0].startswith("1 record acknowledged")
    assert said.err == "error: line 2 holds no key separator ','\n"


def test_a_line_too_large_for_the_client_ends_it_after_those_before(
    cli: Command, topic: str, tmp_path: Path
) -> None:
    file = tmp_path / "huge"
    file.write_bytes(b"small\n" + b"x" * 1_200_000 + b"\nsmall\n")
    said = cli("produce", topic, "--file", str(file))
    assert said.code == 1
    assert said.lines[0].startswith("1 record acknowledged")
    assert said.err == (
        "error: line 2 is 1,200,000 bytes; the client's message.max.bytes is 1,000,000 "
        "(--property message.max.bytes=N changes it)\n"
    )
    said = cli("produce", topic, "--property", "message.max.bytes=2000", stdin="y" * 3000)
    assert said.code == 1
    assert "line 1 is 3,000 bytes; the client's message.max.bytes is 2,000" in said.err


def test_a_pattern_that_is_none(cli: Command, topic: str, new_name: NewName) -> None:
    said = cli("consume", topic, "^(", "--group", new_name("q"))
    assert (said.code, said.out) == (2, "")
    assert said.err == "error: '^(' is no pattern: it wants a regular expression, such as '^orders-.*'\n"


def test_a_topic_that_is_deleted_while_it_is_read(cli: Command, new_name: NewName) -> None:
    """librdkafka alone says nothing, and waits for ever."""
    topic, other, group = new_name("gone"), new_name("stays"), new_name("bereft")
    for name in (topic, other):
        cli.good("topics", "create", name, "-p", "1")
        cli.good("produce", name, stdin="one\n")
    with (
        cli.start("consume", topic, "--from-beginning") as alone,
        cli.start("consume", topic, other, "--from-beginning") as both,
        cli.start("consume", topic, "--group", group, "--from-beginning") as member,
    ):
        assert [alone.next_out(), both.next_out(), both.next_out(), member.next_out()] == ["one"] * 4
        assert "assigned" in member.next_err()
        cli.good("topics", "delete", topic)
        assert alone.next_err() == f"error: topic {topic} is gone"
        assert alone.process.wait(LIMIT_S) == 1
        assert both.next_err().endswith(f" topic {topic} is gone")
        words = [member.next_err()]
        while not words[-1].endswith(f" topic {topic} is gone"):
            words.append(member.next_err())
        cli.good("produce", other, stdin="two\n")
        assert both.next_out() == "two"
        assert both.stop().code == 130
        assert member.stop().code == 130


@pytest.mark.parametrize("line", ["produce {} --events", "consume {}", "consume {} --group g"])
def test_an_unknown_topic(cli: Command, new_name: NewName, line: str) -> None:
    topic = new_name("absent")
    said = cli(*line.format(topic).split())
    assert (said.code, said.out) == (1, "")
    assert said.err == (
        f"error: topic {topic} does not exist at {cli.bootstrap_servers}: "
        f"`rota topics create {topic} --bootstrap-server {cli.bootstrap_servers}` makes it, "
        f"`rota topics list --bootstrap-server {cli.bootstrap_servers}` shows the others\n"
    )


def test_fewer_records_than_wanted_is_a_failure(cli: Command, topic: str) -> None:
    said = cli("consume", topic, "--from-beginning", "--max-messages", "3", "--timeout-ms", "300")
    assert (said.code, said.err) == (1, "error: only 0 of 3 records came before the timeout\n")
    assert cli.good("consume", topic, "--from-beginning", "--timeout-ms", "300").out == ""


def test_rate_and_duration_bound_what_is_sent(cli: Command, topic: str) -> None:
    said = cli.good("produce", topic, "--events", "--rate", "20", "--duration", "1", "--json")
    assert said.json()["acknowledged"] == 20


def test_ctrl_c_ends_a_producer_with_its_summary(cli: Command, topic: str) -> None:
    with cli.start("produce", topic, "--events", "--rate", "50", "--show") as producer:
        assert producer.next_out().startswith("user-")
        said = producer.stop()
    assert (said.code, said.err) == (130, "")
    assert "acknowledged by" in said.out
    assert "none failed" in said.out


@pytest.mark.parametrize("commit", ["auto", "manual"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_restarted_member_goes_on_where_it_stopped(
    cli: Command, topic: str, new_name: NewName, commit: str, number: signal.Signals, code: int
) -> None:
    group = new_name("resume")
    joins = ("consume", topic, "--group", group, "--from-beginning", "--commit", commit)
    cli.good("produce", topic, stdin="1\n2\n3\n")
    with cli.start(*joins) as member:
        assert member.next_err().endswith(f"assigned {topic} 0, 1, 2 (now 3 partitions)")
        first = sorted(member.next_out() for _ in range(3))
        said = member.stop(number)
    assert first == ["1", "2", "3"]
    assert said.code == code
    assert said.err.strip().endswith(f"revoked {topic} 0, 1, 2 (now 0 partitions)")
    cli.good("produce", topic, stdin="4\n")
    said = cli(*joins, "--max-messages", "1", "--timeout-ms", "60000")
    assert (said.code, said.out) == (0, "4\n")


def test_a_second_member_takes_over_and_a_surplus_one_is_idle(cli: Command, new_name: NewName) -> None:
    topic, group = new_name("small"), new_name("crowd")
    cli.good("topics", "create", topic, "--partitions", "1")
    with cli.start("consume", topic, "--group", group, "--client-id", "a") as first:
        assert "(now 1 partition)" in first.next_err()
        with cli.start("consume", topic, "--group", group, "--client-id", "b") as second:
            words = second.next_err()
            assert words.endswith(
                "assigned no partition (now 0 partitions; idle: others hold all partitions)"
            )
            described = cli("groups", "describe", group, "--members")
            assert described.err.startswith(f"\nIdle in consumer group '{group}', without a partition: b-")
            first.stop()
            while f"assigned {topic} 0" not in words:
                words = second.next_err()


def test_without_a_group_nothing_is_left_behind(cli: Command, topic: str) -> None:
    before = set(cli.good("groups", "list").lines)
    cli.good("produce", topic, stdin="x\n")
    read_all(cli, topic, 1)
    assert set(cli.good("groups", "list").lines) == before


def test_consumer_offsets_can_be_read_as_kafka_s_formatters_print_them(
    cli: Command, broker: "BrokerUnderTest", kafka_jars: Path, topic: str, new_name: NewName
) -> None:
    from tests.kafka.tools import KafkaTools

    group = new_name("readable")
    cli.good("produce", topic, stdin="1\n2\n3\n")
    limits = ("--max-messages", "3", "--timeout-ms", "60000")
    assert (
        cli("consume", topic, "--group", group, "--from-beginning", "--commit", "manual", *limits).code == 0
    )
    read = ("consume", "__consumer_offsets", "--from-beginning", "--decode-offsets", "--timeout-ms", "8000")
    ours = [record for record in cli.good(*read).json_lines() if record["key"]["data"]["group"] == group]
    assert {record["key"]["type"] for record in ours} == {1, 2}
    for kind, formatter in ((1, "OffsetsMessageFormatter"), (2, "GroupMetadataMessageFormatter")):
        theirs = _formatted(KafkaTools(broker.bootstrap_servers), formatter, group)
        assert [record for record in ours if record["key"]["type"] == kind] == theirs
    commits = [record for record in ours if record["key"]["type"] == 1]
    latest = {each["key"]["data"]["partition"]: each["value"]["data"]["offset"] for each in commits}
    assert sum(latest.values()) == 3


def _formatted(tools: "KafkaTools", formatter: str, group: str) -> list[dict[str, Any]]:
    """What Kafka's console consumer prints of one group; one object after the other, without line ends."""
    arguments = ("--topic", "__consumer_offsets", "--from-beginning", "--timeout-ms", "8000", "--formatter")
    text = tools("kafka-console-consumer", *arguments, f"org.apache.kafka.tools.consumer.{formatter}")
    found: list[dict[str, Any]] = []
    decoder = json.JSONDecoder()
    at = 0
    while (at := text.find("{", at)) >= 0:
        record, at = decoder.raw_decode(text, at)
        found += [record] if record["key"]["data"]["group"] == group else []
    return found


def test_decoded_offsets_are_json_lines_in_any_case() -> None:
    from rota.cli.consume import _renderer
    from rota.cli.offsets_format import offsets_line

    assert _renderer(None, as_json=True, decode_offsets=True, columns={"key": False}) is offsets_line


def test_on_a_terminal_it_says_how_far_it_is(broker: "BrokerUnderTest", topic: str) -> None:
    arguments = ("produce", topic, "--events", "--rate", "10", "--duration", "4")
    with Terminal(*arguments, env={"ROTA_BOOTSTRAP_SERVER": broker.bootstrap_servers}) as screen:
        screen.wait_for("records acknowledged, 10 a second")
        screen.wait_for(f"records acknowledged by {topic} in")
        assert screen.wait() == 0
