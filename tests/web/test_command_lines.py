"""Command lines that the page shows, run by a shell exactly as they stand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from tests.kafka.ports import PATIENCE_S, wait_until
from tests.web.serving import WebProcess, ask

from rota.admin import Admin
from rota.model import TopicPartition
from rota.monitor.facts import Commit

if TYPE_CHECKING:
    from tests.clients.desk import Desk


def run(line: str, where: Path) -> str:
    """What a shell says to it, with `rota` on its path."""
    program = where / "bin" / "rota"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m rota "$@"\n')
    program.chmod(0o755)
    environment = {"PATH": f"{program.parent}:/usr/bin:/bin"}
    done = subprocess.run(
        ["/bin/sh", "-c", line],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, (line, done.stderr)
    return done.stdout


@pytest.fixture
def group(desk: Desk) -> str:
    """A name that a shell would take apart; it has committed beyond the end of its log, which the doctor finds."""
    topic, name = desk.topic("orders", partitions=1), desk.name("it's $HOME; `id` *")
    desk.produce(topic, 5, partitions=1)
    part = TopicPartition(topic, 0)
    with Admin(desk.bootstrap_servers) as admin:
        assert admin.alter_offsets(name, {part: Commit(99)}) == {part: None}
    return name


def test_command_lines_reach_the_cluster_as_the_server_does(desk: Desk, group: str, tmp_path: Path) -> None:
    properties = tmp_path / "my files" / "it's.properties"
    properties.parent.mkdir()
    properties.write_text("client.id=somebody\n")
    address = f"/api/group?name={quote(group, safe='')}"

    def finding() -> dict[str, Any] | None:
        answer = ask(web.port, address)
        found = answer.json()["findings"] if answer.status == 200 else []
        return next((each for each in found if each["rule"] == "D23"), None)

    with WebProcess(desk.bootstrap_servers, "--command-config", str(properties)) as web:
        session = ask(web.port, "/api/session").json()
        headers = {
            "Origin": f"http://127.0.0.1:{web.port}",
            "X-Rota-Change": session["secret"],
            "Content-Type": "application/json",
        }
        body = json.dumps({"group": group, "scenario": "to-earliest"}).encode()
        plan = ask(web.port, "/api/reset/preview", method="POST", headers=headers, body=body).json()
        wait_until("the doctor has looked", lambda: finding() is not None)
        told = finding()
        assert told is not None
        lines = [plan["command"], *told["commands"]]
    assert len(lines) >= 2
    for line in lines:
        assert f"--bootstrap-server {desk.bootstrap_servers}" in line
        assert "--command-config" in line
        assert group in run(line, tmp_path)
        properties.rename(tmp_path / "elsewhere")  # it is that file that is read
        with pytest.raises(AssertionError, match="No such file"):
            run(line, tmp_path)
        (tmp_path / "elsewhere").rename(properties)
