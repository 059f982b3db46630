"""`rota lab --story rolling-restart`: what it costs with static membership and without."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.kafka.ports import PATIENCE_S


def start(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "rota", "lab", "--json", "--story", "rolling-restart", *words]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def finish(lab: subprocess.Popen[str]) -> dict[str, Any]:
    try:
        output, _ = lab.communicate(timeout=PATIENCE_S)
    finally:
        if lab.poll() is None:
            lab.terminate()
            lab.wait()
    assert lab.returncode == 0
    findings: dict[str, Any] = json.loads(output)
    assert findings["verdict"] == "passed"
    figures: dict[str, Any] = findings["rolling_restart"]
    return figures


def test_static_members_come_back_to_their_partitions_without_a_rebalance() -> None:
    # Their session must outlast a restart, also on a machine that is busy.
    dynamic, static = start(), start("--static", "--session-timeout", "30000")
    found = finish(dynamic), finish(static)
    assert [figures["static"] for figures in found] == [False, True]
    assert [figures["restarts"] for figures in found] == [3, 3]
    assert found[0]["rebalances"] >= 3
    assert (found[1]["rebalances"], found[1]["moves"]) == (0, 0)
    # A partition waits for its own consumer; on a fast machine for less than what is called a pause.
    assert [len(figures["pauses_ms"]) for figures in found] == [3, 3]
