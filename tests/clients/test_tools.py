"""Apache Kafka's own command-line tools against the broker: groups, offsets, configs, logs."""

import re
from pathlib import Path

import pytest
from tests.clients.desk import OFFSETS_TOPIC, Desk, coordinator_partition, json_objects
from tests.kafka.tools import offline_tool, table

pytestmark = pytest.mark.usefixtures("kafka_jars")

DESCRIBE_COLUMNS = [
    *("GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG"),
    *("CONSUMER-ID", "HOST", "CLIENT-ID"),
]


def test_consumer_groups_describes_a_group_of_two(desk: Desk) -> None:
    topic, group = desk.topic("groups"), desk.name("groups")
    partitions = desk.produce(topic, per_partition=4)
    members = [desk.member("confluent", group, topic, name, commit_each_poll=True) for name in ("one", "two")]
    view = desk.wait_stable(group, members, partitions)
    desk.wait_committed(group, dict.fromkeys(partitions, 4))
    shown = desk.tools("kafka-consumer-groups", "--describe", "--group", group)
    rows = table(shown)
    assert list(rows[0]) == DESCRIBE_COLUMNS
    assert {int(row["PARTITION"]): row for row in rows} == {
        number: {
            "GROUP": group,
            "TOPIC": topic,
            "PARTITION": str(number),
            "CURRENT-OFFSET": "4",
            "LOG-END-OFFSET": "4",
            "LAG": "0",
            "CONSUMER-ID": owner.member_id,
            "HOST": "/127.0.0.1",
            "CLIENT-ID": owner.client_id,
        }
        for owner in view.members.values()
        for _, number in owner.partitions
    }

    shown = desk.tools("kafka-consumer-groups", "--describe", "--group", group, "--members", "--verbose")
    assert {row["CLIENT-ID"]: row["#PARTITIONS"] for row in table(shown)} == {
        name: str(len(member.partitions)) for name, member in view.members.items()
    }
    shown = desk.tools("kafka-consumer-groups", "--describe", "--group", group, "--state")
    (words,) = [line.split() for line in shown.splitlines() if line.startswith(group)]
    assert re.fullmatch(r"127\.0\.0\.1:\d+", words[1])
    assert words[2] == "(1)"
    assert words[3:5] == ["range", "Stable"]
    assert words[-1] == "2"
    assert group in desk.tools("kafka-consumer-groups", "--list").splitlines()


def test_consumer_groups_resets_offsets_of_an_inactive_group_only(desk: Desk) -> None:
    topic, group = desk.topic("reset"), desk.name("reset")
    partitions = desk.produce(topic, per_partition=4)
    member = desk.member("confluent", group, topic, commit_each_poll=True)
    member.wait_records(20)
    desk.wait_committed(group, dict.fromkeys(partitions, 4))
    reset = ("kafka-consumer-groups", "--reset-offsets", "--group", group, "--topic", topic)
    refused = desk.tools(*reset, "--to-earliest", "--execute")
    assert "current state is Stable" in refused
    assert desk.committed(group) == dict.fromkeys(partitions, 4)
    member.stop()

    planned = table(desk.tools(*reset, "--to-earliest", "--dry-run"))
    assert {(row["PARTITION"], row["NEW-OFFSET"]) for row in planned} == {(str(n), "0") for n in range(5)}
    assert desk.committed(group) == dict.fromkeys(partitions, 4)
    desk.tools(*reset, "--shift-by", "-1", "--execute")
    assert desk.committed(group) == dict.fromkeys(partitions, 3)
    again = desk.member("confluent", group, topic).wait_records(5)
    assert {record.offset for record in again} == {3}


def test_consumer_groups_deletes_offsets_and_groups(desk: Desk) -> None:
    topic, group = desk.topic("drop"), desk.name("drop")
    partitions = desk.produce(topic, per_partition=1)
    member = desk.member("confluent", group, topic, commit_each_poll=True)
    member.wait_records(5)
    desk.wait_committed(group, dict.fromkeys(partitions, 1))
    member.stop()
    desk.tools("kafka-consumer-groups", "--delete-offsets", "--group", group, "--topic", f"{topic}:0,1")
    assert desk.committed(group).keys() == {(topic, 2), (topic, 3), (topic, 4)}
    assert "was successful" in desk.tools("kafka-consumer-groups", "--delete", "--group", group)
    assert group not in desk.tools("kafka-consumer-groups", "--list").splitlines()


def test_console_consumer_reads_the_offsets_topic(desk: Desk) -> None:
    topic, group = desk.topic("offsets", 1), desk.name("offsets")
    desk.produce(topic, per_partition=3, partitions=1)
    member = desk.member("confluent", group, topic, commit_each_poll=True)
    member.wait_records(3)
    desk.wait_committed(group, {(topic, 0): 3})
    read = (
        *(
            "kafka-console-consumer",
            "--topic",
            OFFSETS_TOPIC,
            "--partition",
            str(coordinator_partition(group)),
        ),
        *("--offset", "earliest", "--timeout-ms", "4000"),
    )
    offsets = json_objects(desk.tools(*read, "--formatter", OFFSETS_FORMATTER))
    committed = [
        line for line in offsets if line["key"]["data"] == {"group": group, "topic": topic, "partition": 0}
    ]
    assert [line["value"]["data"]["offset"] for line in committed] == [1, 2, 3]
    groups = json_objects(desk.tools(*read, "--formatter", GROUPS_FORMATTER))
    states = [line["value"]["data"] for line in groups if line["key"]["data"] == {"group": group}]
    assert states[-1]["protocol"] == "range"
    assert states[-1]["protocolType"] == "consumer"
    assert states[-1]["members"][0]["clientId"] == member.name


OFFSETS_FORMATTER = "org.apache.kafka.tools.consumer.OffsetsMessageFormatter"
GROUPS_FORMATTER = "org.apache.kafka.tools.consumer.GroupMetadataMessageFormatter"


def test_configs_of_a_topic_are_altered_and_described(desk: Desk) -> None:
    topic = desk.topic("configs", config={"segment.bytes": "1048576"})
    entity = ("--entity-type", "topics", "--entity-name", topic)
    desk.tools("kafka-configs", "--alter", *entity, "--add-config", "retention.ms=60000")
    shown = desk.tools("kafka-configs", "--describe", *entity)
    assert "retention.ms=60000 sensitive=false" in shown
    assert "segment.bytes=1048576 sensitive=false" in shown
    assert "DYNAMIC_TOPIC_CONFIG:retention.ms=60000" in shown
    desk.tools("kafka-configs", "--alter", *entity, "--delete-config", "retention.ms")
    assert "retention.ms=" not in desk.tools("kafka-configs", "--describe", *entity)


def test_records_are_deleted_and_offsets_listed(desk: Desk, tmp_path: Path) -> None:
    topic = desk.topic("purge", 2)
    desk.produce(topic, per_partition=5, partitions=2)
    plan = tmp_path / "plan.json"
    plan.write_text(f'{{"partitions": [{{"topic": "{topic}", "partition": 0, "offset": 3}}], "version": 1}}')
    assert "low_watermark: 3" in desk.tools("kafka-delete-records", "--offset-json-file", plan)
    earliest = desk.tools("kafka-get-offsets", "--topic", topic, "--time", "earliest")
    assert earliest.splitlines() == [f"{topic}:0:3", f"{topic}:1:0"]
    latest = desk.tools("kafka-get-offsets", "--topic", topic)
    assert latest.splitlines() == [f"{topic}:0:5", f"{topic}:1:5"]


def test_java_producer_and_dump_of_its_log(desk: Desk) -> None:
    """The idempotent Java producer; then Kafka's log dump reads the broker's files and finds them whole."""
    topic = desk.topic("dump", 1)
    said = desk.tools("kafka-verifiable-producer", "--topic", topic, "--max-messages", "20")
    acknowledged = [line for line in json_objects(said) if line["name"] == "producer_send_success"]
    assert [line["offset"] for line in acknowledged] == list(range(20))
    log = desk.broker.data_dir / f"{topic}-0" / f"{0:020}.log"
    dump = offline_tool("kafka-dump-log", "--files", log, "--print-data-log", "--deep-iteration")
    assert dump.count("isvalid: true") == dump.count("baseOffset: ")
    assert re.findall(r"^\| offset: (\d+) .*payload: (\d+)$", dump, re.MULTILINE) == [
        (str(number), str(number)) for number in range(20)
    ]


def test_cluster_and_versions(desk: Desk) -> None:
    said = desk.tools("kafka-cluster", "cluster-id")
    assert re.search(r"Cluster ID: [A-Za-z0-9_-]{22}$", said.strip())
    versions = desk.tools("kafka-broker-api-versions")
    assert f"{desk.bootstrap_servers} (id: 1 rack: null" in versions
    assert "UNSUPPORTED" not in versions.partition("Produce(0)")[2].splitlines()[0]


def test_unknown_group_is_named(desk: Desk) -> None:
    nobody = desk.name("nobody")
    said = desk.tools("kafka-consumer-groups", "--describe", "--group", nobody)
    assert re.search(rf"GroupIdNotFoundException: .*\b{nobody}\b", said)
