"""The alert rules and the dashboard that are shipped: valid, about metrics that exist, and firing when they should."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from tests.prometheus import promtool

from rota.exporter.native import Native

DATA = files("rota.exporter") / "data"
NAMES = {family.name for family in Native.families}

SERIES = """
rule_files: [{rules}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {{series: 'rota_up', values: '0x30'}}
      - {{series: 'rota_up{{instance="gone"}}', values: '1 _x30'}}
      - {{series: 'up{{instance="gone"}}', values: '0x30'}}
      - {{series: 'up{{instance="no exporter"}}', values: '0x30'}}
      - {{series: 'rota_group_lag_seconds{{consumer_group="late"}}', values: '1000x30'}}
      - {{series: 'rota_group_lag_seconds{{consumer_group="well"}}', values: '800x30'}}
      - {{series: 'rota_group_level{{consumer_group="late",level="growing"}}', values: '1x30'}}
      - {{series: 'rota_group_level{{consumer_group="well",level="growing"}}', values: '0x30'}}
      - {{series: 'rota_group_lag{{consumer_group="left"}}', values: '7x30'}}
      - {{series: 'rota_group_members{{consumer_group="left"}}', values: '0x30'}}
      - {{series: 'rota_group_lag{{consumer_group="well"}}', values: '7x30'}}
      - {{series: 'rota_group_members{{consumer_group="well"}}', values: '2x30'}}
      - {{series: 'kafka_consumer_lag{{topic="t",partition="0",consumer_group="well"}}', values: '5x30'}}
      - {{series: 'rota_consumer_committed_offset{{topic="t",partition="0",consumer_group="well"}}', values: '9x30'}}
      - {{series: 'kafka_consumer_lag{{topic="t",partition="1",consumer_group="well"}}', values: '5x30'}}
      - {{series: 'rota_consumer_committed_offset{{topic="t",partition="1",consumer_group="well"}}', values: '9+5x30'}}
      - {{series: 'rota_consumer_lost_records{{topic="t",partition="1",consumer_group="well"}}', values: '3x30'}}
      - {{series: 'rota_group_rebalancing{{consumer_group="late"}}', values: '1x30'}}
      - {{series: 'rota_group_rebalancing{{consumer_group="well"}}', values: '0 1 0 1 0 1 0x24'}}
      - {{series: 'rota_consumer_blocked_records{{topic="t",partition="2",consumer_group="well"}}', values: '4x30'}}
      - {{series: 'rota_consumer_commit_beyond_end{{topic="t",partition="3",consumer_group="well"}}', values: '4x30'}}
    promql_expr_test:
      - expr: count by (alertname) (ALERTS{{alertstate="firing"}})
        eval_time: 25m
        exp_samples:
{expected}
      - expr: count by (consumer_group) (ALERTS{{alertstate="firing",alertname="ConsumerGroupLate"}})
        eval_time: 25m
        exp_samples: [{{labels: '{{consumer_group="late"}}', value: 1}}]
      - expr: count by (partition) (ALERTS{{alertstate="firing",alertname="ConsumerPartitionStuck"}})
        eval_time: 25m
        exp_samples: [{{labels: '{{partition="0"}}', value: 1}}]
"""


CLUSTERS = """
rule_files: [{rules}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {{series: 'rota_up{{job="rota",instance="one:9308"}}', values: '1x30'}}
      - {{series: 'rota_up{{job="rota",instance="two:9308"}}', values: '1x30'}}
      - {{series: 'rota_group_lag{{job="rota",instance="one:9308",consumer_group="a"}}', values: '7x30'}}
      - {{series: 'rota_group_lag{{job="rota",instance="two:9308",consumer_group="a"}}', values: '7x30'}}
      - {{series: 'rota_group_members{{job="rota",instance="one:9308",consumer_group="a"}}', values: '0x30'}}
      - {{series: 'rota_group_members{{job="rota",instance="two:9308",consumer_group="a"}}', values: '2x30'}}
      - {{series: 'kafka_consumer_lag{{job="rota",instance="one:9308",{part}}}', values: '5x30'}}
      - {{series: 'kafka_consumer_lag{{job="rota",instance="two:9308",{part}}}', values: '5x30'}}
      - {{series: 'rota_consumer_committed_offset{{job="rota",instance="one:9308",{part}}}', values: '9x30'}}
      - {{series: 'rota_consumer_committed_offset{{job="rota",instance="two:9308",{part}}}', values: '9+5x30'}}
      - {{series: 'kafka_consumer_lag{{job="rota",instance="one:9308",{other}}}', values: '5x30'}}
      - {{series: 'kafka_consumer_lag{{job="rota",instance="two:9308",{other}}}', values: '5x30'}}
      - {{series: 'rota_consumer_committed_offset{{job="rota",instance="one:9308",{other}}}', values: '9+5x30'}}
      - {{series: 'rota_consumer_committed_offset{{job="rota",instance="two:9308",{other}}}', values: '9x30'}}
      - {{series: 'rota_consumer_lost_records{{job="rota",instance="one:9308",{part}}}', values: '3x30'}}
      - {{series: 'rota_consumer_lost_records{{job="rota",instance="two:9308",{part}}}', values: '4x30'}}
      - {{series: 'rota_consumer_blocked_records{{job="rota",instance="one:9308",{part}}}', values: '3x30'}}
      - {{series: 'rota_consumer_blocked_records{{job="rota",instance="two:9308",{part}}}', values: '4x30'}}
    promql_expr_test:
      - expr: count by (alertname, instance, partition) (ALERTS{{alertstate="firing"}})
        eval_time: 25m
        exp_samples:
          - {{labels: '{{alertname="ConsumerGroupWithoutMembers",instance="one:9308"}}', value: 1}}
          - {{labels: '{{alertname="ConsumerPartitionStuck",instance="two:9308",partition="1"}}', value: 1}}
          - {{labels: '{{alertname="ConsumerRecordsLost",instance="one:9308"}}', value: 1}}
          - {{labels: '{{alertname="ConsumerRecordsLost",instance="two:9308"}}', value: 1}}
          - {{labels: '{{alertname="ConsumerBlockedByTransaction",instance="one:9308",partition="0"}}', value: 1}}
          - {{labels: '{{alertname="ConsumerBlockedByTransaction",instance="two:9308",partition="0"}}', value: 1}}
"""
"""Two clusters, each with an exporter of its own, whose groups and topics have the same names."""

GONE = """
rule_files: [{rules}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
{series}
    promql_expr_test:
      - expr: ALERTS{{alertstate="firing"}} == 1
        eval_time: 25m
        exp_samples: [{expected}]
"""
"""What fires when an exporter is not there any more."""
ONE = 'job="r",instance="one",'


def rules() -> str:
    return (DATA / "alerts.yml").read_text()


def dashboard() -> Any:
    return json.loads((DATA / "dashboard.json").read_text())


def queries() -> list[str]:
    """Every expression of the dashboard, its variables filled in."""
    found = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    return [each.replace("$group", ".*").replace("$topic", ".*") for each in found]


def metrics_in(text: str) -> set[str]:
    return set(re.findall(r"\b(?:rota|kafka)_\w+", text))


@pytest.mark.usefixtures("prometheus_installed")
def test_each_alert_fires_for_what_it_is_about_and_for_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "alerts.yml").write_text(rules())
    names = re.findall(r"alert: (\w+)", rules())
    expected = "\n".join(f"          - {{labels: '{{alertname=\"{name}\"}}', value: 1}}" for name in names)
    test = tmp_path / "test.yml"
    test.write_text(SERIES.format(rules=tmp_path / "alerts.yml", expected=expected))
    promtool("check", "rules", str(tmp_path / "alerts.yml"))
    promtool("test", "rules", str(test))


@pytest.mark.usefixtures("prometheus_installed")
def test_clusters_with_groups_of_the_same_names_are_kept_apart(tmp_path: Path) -> None:
    (tmp_path / "alerts.yml").write_text(rules())
    test = tmp_path / "test.yml"
    part = 'topic="t",partition="{}",consumer_group="a"'
    test.write_text(CLUSTERS.format(rules=tmp_path / "alerts.yml", part=part.format(0), other=part.format(1)))
    promtool("test", "rules", str(test))


OWNERS = """
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
{series}
    promql_expr_test:
      - expr: count({query})
        eval_time: 5m
        exp_samples: [{{labels: '{{}}', value: 2}}]
"""


@pytest.mark.usefixtures("prometheus_installed")
def test_the_dashboard_finds_the_owners_of_partitions_in_two_clusters(tmp_path: Path) -> None:
    (query,) = (each for each in queries() if "rota_consumer_owner_info" in each)
    where = 'job="r",instance="{}",topic="t",partition="0",consumer_group="a"{}'
    series = "\n".join(
        f"      - {{series: '{name}{{{where.format(instance, more)}}}', values: '1x9'}}"
        for instance in ("one", "two")
        for name, more in (
            ("kafka_consumer_lag", ""),
            ("rota_consumer_owner_info", f',client_id="{instance}",host="h"'),
        )
    )
    test = tmp_path / "test.yml"
    test.write_text(OWNERS.format(series=series, query=query))
    promtool("test", "rules", str(test))


@pytest.mark.usefixtures("prometheus_installed")
@pytest.mark.parametrize(
    ("targets", "labels"),
    [
        pytest.param([], "", id="never-there"),
        pytest.param([("one", "1x5 0x25", "1x5 _x25")], ONE, id="down"),
        pytest.param([("one", "1x5 _x25", "1x5 _x25")], "", id="scraped-no-more"),
        pytest.param([("one", "1x5 0x25", "1x5 _x25"), ("two", "1x30", "1x30")], ONE, id="one-of-two-down"),
        pytest.param([("one", "1x30", "1x30"), ("other", "0x30", "_x30")], None, id="there"),
    ],
)
def test_an_exporter_that_is_gone_is_missed(
    tmp_path: Path, targets: list[tuple[str, str, str]], labels: str | None
) -> None:
    (tmp_path / "alerts.yml").write_text(rules())
    lines = [
        f"      - {{series: '{name}{{job=\"r\",instance=\"{instance}\"}}', values: '{values}'}}"
        for instance, *both in targets
        for name, values in zip(("up", "rota_up"), both, strict=True)
    ]
    series = "\n".join(lines) or "      []"
    alert = 'alertname="RotaExporterMissing",alertstate="firing",severity="critical"'
    expected = "" if labels is None else f"{{labels: 'ALERTS{{{labels}{alert}}}', value: 1}}"
    test = tmp_path / "test.yml"
    test.write_text(GONE.format(rules=tmp_path / "alerts.yml", series=series, expected=expected))
    promtool("test", "rules", str(test))


def test_rules_and_dashboard_are_about_metrics_that_exist() -> None:
    assert metrics_in(rules()) <= NAMES
    assert metrics_in(" ".join(queries())) <= NAMES


def test_the_dashboard_s_panels_do_not_overlap_and_have_numbers_of_their_own() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23
