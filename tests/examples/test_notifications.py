"""`examples/notifications`: whatever happens to the pods, the mail server has each e-mail once."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from examples.notifications.mail import message_id
from examples.notifications.scene import Settings, play
from tests.brokers import new_broker
from tests.kafka.ports import PATIENCE_S
from tests.rehearsal.children import all_gone, descendants

if TYPE_CHECKING:
    from tests.brokers import BrokerUnderTest

CHECKOUT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "examples.notifications", "--email", "200", "--rate", "40"]
COMMAND += ["--session-timeout", "3"]
ROUNDS = 2

pytestmark = pytest.mark.timeout(900)  # many processes: half a minute here, minutes on a machine that is busy


def check(bootstrap: str, ledger: str | None = None) -> None:
    """E-mails of 200 ms; the seed is another one each time, and told."""
    settings = Settings(
        bootstrap=bootstrap,
        topic=f"notifications-{os.getpid()}-{uuid.uuid4().hex[:6]}",
        email_s=0.2,
        rate=40,
        session_s=3,
        ledger=ledger,
        seed=random.randrange(1_000_000),
        patience_s=PATIENCE_S,
    )
    account, _ = play(settings)
    assert account.lost == []
    assert account.twice == []
    assert set(account.by_message()) == set(map(message_id, account.story.asked_for))
    assert [accident.kind for accident in account.story.accidents] == ["kill", "freeze"]
    assert len(account.by_pod()) == 5


@pytest.mark.parametrize("attempt", range(ROUNDS))
def test_none_is_lost_and_none_is_sent_twice(broker: BrokerUnderTest, attempt: int) -> None:
    check(broker.bootstrap_servers)


def test_the_ledger_may_be_in_postgresql(postgres_database: str) -> None:
    with new_broker("rota") as broker:
        check(broker.bootstrap_servers, postgres_database)


def test_one_command_runs_it_and_tells_what_became_of_each() -> None:
    done = subprocess.run(
        COMMAND, cwd=CHECKOUT, capture_output=True, text=True, timeout=4 * PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stdout.splitlines()
    assert told[-1] == "0 lost, 0 sent twice."
    assert "\x1b" not in done.stdout, "no colours without a terminal"
    heads = [place for place, line in enumerate(told) if line.startswith("pod-") and " under way" in line]
    assert ["kill -9" in told[heads[0]], "SIGSTOP" in told[heads[1]]] == [True, True]
    fates = [line for line in told[heads[0] :] if line.startswith("  n-")]
    assert fates, "they were hit in the middle of their work"
    assert all("asked the mail server" in line or "accepted from pod-" in line for line in fates), fates


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody kills what is frozen")
def test_nothing_outlives_it_not_even_a_frozen_pod(tmp_path: Path) -> None:
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(COMMAND, cwd=CHECKOUT, env=env, stdout=subprocess.PIPE, text=True) as example:
        assert example.stdout is not None
        assert any("FREEZE" in line for line in example.stdout)
        children = descendants(example.pid)
        assert len(children) >= 5, "a broker, a mail server, pods"
        example.kill()
    assert all_gone(children)
