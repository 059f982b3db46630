"""`rota.cluster` itself: bulk questions, properties, and errors that say what to do."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.cli.command import Command

from rota.cluster import Cluster, ClusterError, client_properties, read_properties
from rota.model import ErrorCode, RotaError, TopicPartition

if TYPE_CHECKING:
    from tests.brokers import BrokerUnderTest

NewName = Callable[[str], str]


@pytest.fixture
def cluster(broker: "BrokerUnderTest") -> Cluster:
    return Cluster(broker.bootstrap_servers)


def test_a_topic_s_life(cluster: Cluster, new_name: NewName) -> None:
    name = new_name("topic")
    assert cluster.create_topic(name, partitions=2)
    assert not cluster.create_topic(name, if_not_exists=True)
    with pytest.raises(ClusterError) as refused:
        cluster.create_topic(name)
    assert refused.value.code == ErrorCode.TOPIC_ALREADY_EXISTS
    assert cluster.topics()[name] == 2
    cluster.add_partitions(name, 4)
    assert cluster.partition_counts([name]) == {name: 4}
    assert cluster.delete_topics([name]) == {name: None}
    gone = cluster.describe_topics([name])[name]
    assert isinstance(gone, ClusterError)
    assert gone.code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_a_change_of_topics_is_seen_once_it_is_done(cluster: Cluster, new_name: NewName) -> None:
    """Apache Kafka's brokers learn of a change after it was answered: without waiting, some of these fail."""
    for number in range(40):
        name = new_name(f"topic-{number}")
        cluster.create_topic(name, partitions=2)
        assert cluster.partition_counts([name]) == {name: 2}
        cluster.add_partitions(name, 3)
        assert cluster.partition_counts([name]) == {name: 3}
        cluster.delete_topics([name])
        with pytest.raises(ClusterError, match="does not exist"):
            cluster.partition_counts([name])


def test_offsets_of_many_partitions_and_groups_at_once(
    cluster: Cluster, cli: Command, new_name: NewName
) -> None:
    topic, group, other = new_name("topic"), new_name("group"), new_name("other")
    cluster.create_topic(topic, partitions=3)
    sent = cli.good("produce", topic, "--events", "--rate", "0", "--count", "60", "--json").json()
    limits = ("--from-beginning", "--commit", "manual", "--max-messages", "60", "--timeout-ms", "60000")
    assert cli("consume", topic, "--group", group, *limits).code == 0
    partitions = [TopicPartition(topic, n) for n in range(3)]
    absent = TopicPartition(topic, 9)
    ends = cluster.end_offsets([*partitions, absent])
    counts = {entry["partition"]: entry["records"] for entry in sent["partitions"]}
    assert ends == {**{tp: counts.get(tp.partition, 0) for tp in partitions}, absent: None}
    assert cluster.start_offsets(partitions) == dict.fromkeys(partitions, 0)
    committed = cluster.committed_offsets_of([group, other])
    assert {tp: at.offset for tp, at in committed[group].items()} == {tp: ends[tp] for tp in committed[group]}
    assert sum(at.offset for at in committed[group].values()) == 60
    assert committed[other] == {}
    described = cluster.describe_groups([group, other])
    assert described[group].exists
    assert described[group].state == "Empty"
    assert not described[other].exists


def test_nothing_asked_is_nothing_answered() -> None:
    """No connection is made for an empty question."""
    nowhere = Cluster("127.0.0.1:1")
    assert nowhere.describe_topics([]) == {}
    assert nowhere.describe_groups([]) == {}
    assert nowhere.end_offsets([]) == {}
    assert nowhere.delete_topics([]) == {}


@pytest.mark.parametrize("address", ["", "a b:9092", "host:port", "http://", "a:1,,b:2", "host:9092/x"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(RotaError, match="is no broker's address") as refused:
        Cluster(address)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("address", ["h", "h:1", "[::1]:9092", "10.0.0.1:9092,b.example:9093", "SSL://h:1"])
def test_what_is_an_address(address: str) -> None:
    assert Cluster(address).bootstrap == address


def test_a_login_that_kafka_s_tools_understand_works_here_too() -> None:
    jaas = 'org.apache.kafka.common.security.scram.ScramLoginModule required username="a" password="b\\"c";'
    given = {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.jaas.config": jaas,
        "sasl.mechanism": "SCRAM-SHA-256",
    }
    assert client_properties(given) == {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": "a",
        "sasl.password": 'b"c',
    }


def test_a_properties_file(tmp_path: Path) -> None:
    file = tmp_path / "client.properties"
    file.write_text("# comment\n! another\n\na=1\n b : 2 \nlong=x \\\n  y\nempty=\nurl=a=b\n")
    assert read_properties(file) == {"a": "1", "b": "2", "long": "x y", "empty": "", "url": "a=b"}


def test_a_refused_login_says_so(broker: "BrokerUnderTest") -> None:
    """The broker under test offers no SASL at all."""
    properties = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"}
    properties |= {"sasl.username": "a", "sasl.password": "b"}
    with pytest.raises(RotaError) as refused:
        Cluster(broker.bootstrap_servers, properties).topics()
    assert broker.bootstrap_servers in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_first_question_about_groups_is_answered(
    own_broker: "BrokerUnderTest", new_name: NewName
) -> None:
    """Apache Kafka makes __consumer_offsets only now, which can take longer than librdkafka looks for a coordinator."""
    cluster = Cluster(own_broker.bootstrap_servers)
    group = new_name("nobody")
    assert not cluster.describe_groups([group])[group].exists
    assert cluster.committed_offsets(group) == {}
    cluster.close()
