"""The alert rules and the dashboard that are shipped: valid, about metrics that exist, and firing when they should."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from tests.prometheus import promtool

from rota.exporter.native import Native

DATA = files("rota.exporter") / "data"
NAMES = {family.name for family in Native.families}
LATE, STUCK = "ConsumerGroupLate", "ConsumerPartitionStuck"


def rules() -> str:
    return (DATA / "alerts.yml").read_text()


def alerts() -> list[str]:
    return re.findall(r"alert: (\w+)", rules())


def dashboard() -> Any:
    return json.loads((DATA / "dashboard.json").read_text())


def queries(exporter: str = "one") -> list[str]:
    """Every expression of the dashboard, its variables filled in."""
    found = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    return [
        each.replace("$group", ".*").replace("$topic", ".*").replace("$exporter", exporter) for each in found
    ]


def metrics_in(text: str) -> set[str]:
    return set(re.findall(r"\b(?:rota|kafka)_\w+", text))


def part(number: int, group: str) -> str:
    return f'topic="t",partition="{number}",consumer_group="{group}"'


def check(
    directory: Path, series: Mapping[str, str], expected: Mapping[str, Mapping[str, int]], at: str = "25m"
) -> None:
    """With these series, a value a minute, and the rules evaluated, each expression has these samples and no others."""
    (directory / "alerts.yml").write_text(rules())
    samples = [
        {
            "expr": expression,
            "eval_time": at,
            "exp_samples": [{"labels": labels, "value": value} for labels, value in found.items()],
        }
        for expression, found in expected.items()
    ]
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    test = {
        "rule_files": [str(directory / "alerts.yml")],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": inputs, "promql_expr_test": samples}],
    }
    (directory / "test.yml").write_text(json.dumps(test))
    promtool("test", "rules", str(directory / "test.yml"))


@pytest.mark.usefixtures("prometheus_installed")
def test_the_rules_are_valid() -> None:
    promtool("check", "rules", str(DATA / "alerts.yml"))


@pytest.mark.usefixtures("prometheus_installed")
def test_each_alert_fires_for_what_it_is_about_and_for_nothing_else(tmp_path: Path) -> None:
    series = {
        "rota_up": "0x30",
        'rota_up{instance="gone"}': "1 _x30",
        'up{instance="gone"}': "0x30",
        'up{instance="no exporter"}': "0x30",
        'rota_group_lag_seconds{consumer_group="late"}': "1000x30",
        'rota_group_lag_seconds{consumer_group="well"}': "800x30",
        'rota_group_level{consumer_group="late",level="growing"}': "1x30",
        'rota_group_level{consumer_group="well",level="growing"}': "0x30",
        'rota_group_lag{consumer_group="left"}': "7x30",
        'rota_group_members{consumer_group="left"}': "0x30",
        'rota_group_lag{consumer_group="well"}': "7x30",
        'rota_group_members{consumer_group="well"}': "2x30",
        f"kafka_consumer_lag{{{part(0, 'well')}}}": "5x30",
        f"rota_consumer_committed_offset{{{part(0, 'well')}}}": "9x30",
        f"kafka_consumer_lag{{{part(1, 'well')}}}": "5x30",
        f"rota_consumer_committed_offset{{{part(1, 'well')}}}": "9+5x30",
        f"rota_consumer_lost_records{{{part(1, 'well')}}}": "3x30",
        'rota_group_rebalancing{consumer_group="late"}': "1x30",
        'rota_group_rebalancing{consumer_group="well"}': "0 1 0 1 0 1 0x24",
        f"rota_consumer_blocked_records{{{part(2, 'well')}}}": "4x30",
        f"rota_consumer_commit_beyond_end{{{part(3, 'well')}}}": "4x30",
    }
    firing = 'ALERTS{alertstate="firing"}'
    late, stuck = (f'ALERTS{{alertstate="firing",alertname="{name}"}}' for name in (LATE, STUCK))
    expected = {
        f"count by (alertname) ({firing})": {f'{{alertname="{name}"}}': 1 for name in alerts()},
        f"count by (consumer_group) ({late})": {'{consumer_group="late"}': 1},
        f"count by (partition) ({stuck})": {'{partition="0"}': 1},
    }
    check(tmp_path, series, expected)


@pytest.mark.usefixtures("prometheus_installed")
def test_clusters_with_groups_of_the_same_names_are_kept_apart(tmp_path: Path) -> None:
    """Each has an exporter of its own."""
    of_two = [
        ("rota_up", "", "1x30", "1x30"),
        ("rota_group_lag", 'consumer_group="a"', "7x30", "7x30"),
        ("rota_group_members", 'consumer_group="a"', "0x30", "2x30"),
        ("kafka_consumer_lag", part(0, "a"), "5x30", "5x30"),
        ("rota_consumer_committed_offset", part(0, "a"), "9x30", "9+5x30"),
        ("kafka_consumer_lag", part(1, "a"), "5x30", "5x30"),
        ("rota_consumer_committed_offset", part(1, "a"), "9+5x30", "9x30"),
        ("rota_consumer_lost_records", part(0, "a"), "3x30", "4x30"),
        ("rota_consumer_blocked_records", part(0, "a"), "3x30", "4x30"),
    ]
    series = {
        f'{name}{{job="rota",instance="{instance}",{labels}}}': values
        for name, labels, *both in of_two
        for instance, values in zip(("one", "two"), both, strict=True)
    }
    firing = {
        '{alertname="ConsumerGroupWithoutMembers",instance="one"}': 1,
        '{alertname="ConsumerPartitionStuck",instance="two",partition="1"}': 1,
        '{alertname="ConsumerRecordsLost",instance="one"}': 1,
        '{alertname="ConsumerRecordsLost",instance="two"}': 1,
        '{alertname="ConsumerBlockedByTransaction",instance="one",partition="0"}': 1,
        '{alertname="ConsumerBlockedByTransaction",instance="two",partition="0"}': 1,
    }
    check(
        tmp_path,
        series,
        {'count by (alertname, instance, partition) (ALERTS{alertstate="firing"})': firing},
    )


@pytest.mark.usefixtures("prometheus_installed")
def test_the_dashboard_finds_the_owners_of_partitions_where_there_are_two_clusters(tmp_path: Path) -> None:
    (query,) = (each for each in queries() if "rota_consumer_owner_info" in each)
    where = 'job="r",instance="{}",' + part(0, "a")
    series: dict[str, str] = {}
    for instance in ("one", "two"):
        labels = where.format(instance)
        series[f"kafka_consumer_lag{{{labels}}}"] = "1x9"
        series[f'rota_consumer_owner_info{{{labels},client_id="{instance}",host="h"}}'] = "1x9"
    check(tmp_path, series, {f"count({query})": {"{}": 1}}, at="5m")


def test_the_dashboard_shows_one_cluster_at_a_time() -> None:
    """Each has an exporter of its own: groups of the same name in two of them are not added up."""
    variables = {each["name"]: each for each in dashboard()["templating"]["list"]}
    assert not variables["exporter"]["multi"]
    assert not variables["exporter"]["includeAll"]
    asked = [*queries(), *(variables[name]["definition"] for name in ("group", "topic"))]
    for query in asked:
        named = re.findall(r"\b(?:rota|kafka)_\w+(\{instance=)?", query.replace("$exporter", "one"))
        assert named, query
        assert all(named), query


ONE = 'job="r",instance="one",'


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
    series = {
        f'{name}{{job="r",instance="{instance}"}}': values
        for instance, *both in targets
        for name, values in zip(("up", "rota_up"), both, strict=True)
    }
    alert = 'alertname="RotaExporterMissing",alertstate="firing",severity="critical"'
    firing = {} if labels is None else {f"ALERTS{{{labels}{alert}}}": 1}
    check(tmp_path, series, {'ALERTS{alertstate="firing"} == 1': firing})


def test_every_alert_is_in_the_documentation() -> None:
    told = (Path(__file__).parents[2] / "docs" / "exporter.md").read_text()
    section = told.partition("## Alerts")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == alerts()


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
