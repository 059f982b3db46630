"""The page: what each style says of groups, what is made anew, what is gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.monitor.snapshots import START_MS, look
from tests.prometheus import promtool

from rota.exporter.page import Page
from rota.exporter.serving import STYLES, styles
from rota.model import RotaError
from rota.monitor.facts import BatchFacts, Snapshot
from rota.monitor.looks import Looks
from rota.watching.looking import Seen

TEXT = """
group orders classic Stable range
  pod-1 @10.0.0.1: orders-0 orders-1
  pod-2 static=b: orders-2
  spare:
  orders-0  45000/50000
  orders-1  70/100  start=90  stable=98
  orders-2  -/7
group audit consumer Empty
  orders-0  50000/50000
"""

DOCS = Path(__file__).parents[2] / "docs" / "exporter.md"


def pages(*names: str) -> Page:
    return Page(styles(names or ("native",), "prod"))


class Cluster:
    """Looks that are told to a page."""

    def __init__(self, *names: str) -> None:
        self.page = pages(*names)
        self._looks = Looks()
        self._number = 0

    def seen(self, snapshot: Snapshot) -> None:
        self._number += 1
        asked = self._looks.wanted(snapshot, 100)
        at_ms = snapshot.at_ms - 60_000
        header = {part: BatchFacts(at, at, at_ms, at_ms, False, False, 1, 80) for part, at in asked.items()}
        self._looks.told(snapshot, asked, header)
        self.page.update(Seen(self._number, self._looks.look(snapshot), snapshot))

    def samples(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Every sample; the text is one that Prometheus' own client reads."""
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(self.page.text().decode())
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float | None:
        return self.samples().get((name, frozenset(labels.items())))

    def names(self) -> set[str]:
        return {name for name, _ in self.samples()}


def test_the_gauge_that_everybody_expects() -> None:
    cluster = Cluster()
    cluster.seen(look(TEXT))
    where = {"topic": "orders", "partition": "0"}
    assert cluster.value("kafka_consumer_lag", **where, consumer_group="orders") == 5_000
    assert cluster.value("kafka_consumer_lag", **where, consumer_group="audit") == 0
    assert cluster.value("kafka_consumer_lag", topic="orders", partition="2", consumer_group="orders") is None


def test_native_names_tell_time_losses_owners_and_totals() -> None:
    cluster = Cluster()
    cluster.seen(look(TEXT))
    where = {"topic": "orders", "partition": "1", "consumer_group": "orders"}
    assert cluster.value("rota_consumer_lag_seconds", **where) == 60
    assert cluster.value("rota_consumer_lag_seconds_info", **where, method="record", quality="at-least") == 1
    assert cluster.value("rota_consumer_lost_records", **where) == 20
    assert cluster.value("rota_consumer_blocked_records", **where) == 2
    owner = {"client_id": "pod-1", "host": "10.0.0.1", "instance_id": ""}
    assert cluster.value("rota_consumer_owner_info", **where, **owner) == 1
    group = {"consumer_group": "orders"}
    told = {
        name: cluster.value(f"rota_group_{name}", **group)
        for name in ("lag", "lag_seconds", "members", "idle_members", "partitions", "uncommitted_partitions")
    }
    assert told == {
        "lag": 5_010,
        "lag_seconds": 60,
        "members": 3,
        "idle_members": 1,
        "partitions": 3,
        "uncommitted_partitions": 1,
    }
    state = {"type": "Classic", "state": "Stable", "assignor": "range", "coordinator": "1"}
    assert cluster.value("rota_group_info", **group, **state) == 1
    assert cluster.value("rota_group_level", **group, level="unknown") == 1
    assert cluster.value("rota_up") == 1
    assert cluster.value("rota_partition_end_offset", topic="orders", partition="1") == 100


def test_the_names_of_kafka_exporter() -> None:
    cluster = Cluster("kafka_exporter")
    cluster.seen(look(TEXT))
    where = {"consumergroup": "orders", "topic": "orders"}
    assert cluster.value("kafka_consumergroup_lag", **where, partition="0") == 5_000
    assert cluster.value("kafka_consumergroup_current_offset", **where, partition="0") == 45_000
    assert cluster.value("kafka_consumergroup_current_offset", **where, partition="2") is None
    assert cluster.value("kafka_consumergroup_lag_sum", **where) == 5_010
    assert cluster.value("kafka_consumergroup_current_offset_sum", **where) == 45_070
    assert cluster.value("kafka_consumergroup_members", consumergroup="orders") == 3
    assert cluster.value("kafka_topic_partitions", topic="orders") == 3
    assert cluster.value("kafka_topic_partition_current_offset", topic="orders", partition="1") == 100
    assert cluster.value("kafka_topic_partition_oldest_offset", topic="orders", partition="1") == 90


def test_the_names_of_kafka_lag_exporter() -> None:
    cluster = Cluster("kafka-lag-exporter")
    cluster.seen(look(TEXT))
    group = {"cluster_name": "prod", "group": "orders"}
    held = {"topic": "orders", "partition": "0", "member_host": "10.0.0.1", "consumer_id": "pod-1-id"}
    assert cluster.value("kafka_consumergroup_group_lag", **group, **held, client_id="pod-1") == 5_000
    assert cluster.value("kafka_consumergroup_group_lag_seconds", **group, **held, client_id="pod-1") == 60
    assert cluster.value("kafka_consumergroup_group_max_lag", **group) == 5_000
    assert cluster.value("kafka_consumergroup_group_max_lag_seconds", **group) == 60
    assert cluster.value("kafka_consumergroup_group_sum_lag", **group) == 5_010
    assert cluster.value("kafka_consumergroup_group_topic_sum_lag", **group, topic="orders") == 5_010
    where = {"cluster_name": "prod", "topic": "orders", "partition": "1"}
    assert cluster.value("kafka_partition_latest_offset", **where) == 100
    assert cluster.value("kafka_partition_earliest_offset", **where) == 90


def test_the_names_of_kminion() -> None:
    cluster = Cluster("kminion")
    cluster.seen(look(TEXT))
    group = {"group_id": "orders"}
    prefix = "kminion_kafka_consumer_group_"
    part = {"topic_name": "orders", "partition_id": "0"}
    assert cluster.value(f"{prefix}topic_partition_lag", **group, **part) == 5_000
    assert cluster.value(f"{prefix}topic_lag", **group, topic_name="orders") == 5_010
    assert cluster.value(f"{prefix}topic_offset_sum", **group, topic_name="orders") == 45_070
    assert cluster.value(f"{prefix}topic_members", **group, topic_name="orders") == 2
    assert cluster.value(f"{prefix}topic_assigned_partitions", **group, topic_name="orders") == 3
    assert (cluster.value(f"{prefix}members", **group), cluster.value(f"{prefix}empty_members", **group)) == (
        3,
        1,
    )
    info = {"protocol": "range", "protocol_type": "consumer", "state": "Stable", "coordinator_id": "1"}
    assert cluster.value(f"{prefix}info", **group, **info) == 1
    assert cluster.value("kminion_kafka_topic_high_water_mark_sum", topic_name="orders") == 50_107
    assert cluster.value("kminion_exporter_up") == 1


def test_a_sum_is_left_out_while_a_partition_is_unknown() -> None:
    cluster = Cluster("kminion")
    cluster.seen(look("group g\nt-0 1/3\nt-1 1/?\nu-0 1/3"))
    for name in ("kminion_kafka_topic_high_water_mark_sum", "kminion_kafka_topic_low_water_mark_sum"):
        assert cluster.value(name, topic_name="t") is None
        assert cluster.value(name, topic_name="u") is not None


def test_styles_can_be_told_together() -> None:
    cluster = Cluster(*STYLES)
    cluster.seen(look(TEXT))
    for style in STYLES:
        alone = Cluster(style)
        alone.seen(look(TEXT))
        assert alone.names()
        assert alone.names() <= cluster.names()
    text = cluster.page.text().decode()
    heads = [line for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(heads) == len(set(heads))


@pytest.mark.usefixtures("prometheus_installed")
def test_prometheus_checker_finds_no_fault() -> None:
    native = Cluster()
    native.seen(look(TEXT))
    promtool("check", "metrics", stdin=native.page.text().decode())


def test_a_deleted_group_s_series_are_gone_after_one_look() -> None:
    cluster = Cluster(*STYLES)
    cluster.seen(look(TEXT))
    before = cluster.page.text().decode()
    assert "audit" in before
    cluster.seen(look(TEXT.partition("group audit")[0], START_MS + 1_000))
    assert "audit" not in cluster.page.text().decode()
    cluster.seen(look("", START_MS + 2_000))
    assert "orders" not in cluster.page.text().decode()


def test_a_failed_look_leaves_the_series_and_says_so() -> None:
    cluster = Cluster()
    snapshot = look(TEXT)
    cluster.seen(snapshot)
    views = Looks().look(snapshot)
    cluster.page.update(Seen(2, views, snapshot, RotaError("nobody answers")))
    assert (cluster.value("rota_up"), cluster.value("rota_look_failures_total")) == (0, 1)
    assert cluster.value("rota_look_timestamp_seconds") == START_MS / 1_000
    assert cluster.value("rota_group_members", consumer_group="orders") == 3


def test_before_the_first_look_nothing_is_claimed() -> None:
    cluster = Cluster()
    assert cluster.value("rota_up") == 0
    assert cluster.names() == {
        "rota_up",
        "rota_looks_total",
        "rota_look_failures_total",
        "rota_look_duration_seconds",
    }


@pytest.mark.parametrize("name", ['quo"te', "back\\slash", "new\nline", "ünïcode", "a\\nb"])
def test_names_of_groups_may_hold_anything(name: str) -> None:
    snapshot = look("group g\nt-0 1/3")
    facts = {name: snapshot.groups["g"]}
    from dataclasses import replace

    named = Snapshot(
        snapshot.at_ms,
        {name: replace(facts[name], group=name)},
        {name: snapshot.commits["g"]},
        snapshot.partitions,
        snapshot.topics,
    )
    cluster = Cluster(*STYLES)
    cluster.seen(named)
    assert cluster.value("kafka_consumer_lag", topic="t", partition="0", consumer_group=name) == 2
    assert cluster.value("kafka_consumergroup_members", consumergroup=name) == 0


def test_what_has_not_changed_is_not_written_again() -> None:
    cluster = Cluster()
    text = "group a\na-0 5/5\ngroup b\nb-0 5/5"
    for number in range(3):
        cluster.seen(look(text, START_MS + number * 1_000))
    before = dict(cluster.page._groups)
    cluster.seen(look(text.replace("b-0 5/5", "b-0 5/6"), START_MS + 5_000))
    after = cluster.page._groups
    assert after["a"] is before["a"]
    assert after["b"] is not before["b"]


@pytest.mark.parametrize("style", STYLES)
def test_every_metric_is_in_the_documentation(style: str) -> None:
    words = DOCS.read_text()
    missing = [family.name for family in STYLES[style]("prod").families if f"`{family.name}" not in words]
    assert not missing
