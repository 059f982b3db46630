"""`rota lab --group-protocol consumer`: the group of KIP-848, in which the broker assigns."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from tests.kafka.ports import PATIENCE_S

from rota.cli import run
from rota.model import RotaError
from rota.rehearsal.settings import LabSettings


def test_a_group_of_the_newer_protocol_loses_nothing() -> None:
    words = ["--group-protocol", "consumer", "--session-timeout", "3000", "--duration", "14", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "rota", "lab", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    findings = json.loads(done.stdout)
    assert findings["verdict"] == "passed"
    assert findings["changed_settings"] == {
        "group.consumer.session.timeout.ms": "3000",
        "group.consumer.heartbeat.interval.ms": "1000",
        "max.poll.interval.ms": "10000",
        "topic.metadata.refresh.interval.ms": "2000",
    }
    assert {item["protocol"] for item in findings["generations"] if item["assignment"]} == {"uniform"}
    assert any(item["rebalance"]["reason"] == "session-expired" for item in findings["rebalances"])
    assert "group.consumer.session.timeout.ms is 3 s" in done.stderr
    assert "Group epoch 1:" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--assignor", "uniform"],
            "--assignor is one of range, roundrobin, cooperative-sticky, not uniform",
        ),
        (
            ["--group-protocol", "consumer", "--assignor", "roundrobin"],
            "is one of uniform, range, not roundrobin",
        ),
        (
            ["--group-protocol", "consumer", "-b", "127.0.0.1:1", "--session-timeout", "7000"],
            "the session timeout is the cluster's (group.consumer.session.timeout.ms)",
        ),
    ],
)
def test_what_does_not_fit_the_protocol_is_wrong_usage(
    arguments: list[str], words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["lab", *arguments]) == 2
    assert words in capfd.readouterr().err


def test_a_consumer_group_is_told_none_of_the_clients_timeouts() -> None:
    settings = LabSettings(
        protocol="consumer", assignor="uniform", bootstrap="kafka:9092", session_timeout_ms=45_000
    )
    settings.check()
    properties = settings.consumer_properties("consumer-1", "kafka:9092")
    assert properties["group.protocol"] == "consumer"
    assert properties["group.remote.assignor"] == "uniform"
    refused = {"session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy"}
    assert not refused & set(properties)
    changed = [change.name for change in settings.changes()]  # nothing of that cluster
    assert changed == ["max.poll.interval.ms", "topic.metadata.refresh.interval.ms"]
    with pytest.raises(RotaError, match="uniform, range"):
        LabSettings(protocol="consumer", assignor="cooperative-sticky").check()
