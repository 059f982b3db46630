"""`examples/orders`: the naive loop repeats orders when it is scaled up, `rota.consumer` does not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from examples.orders.account import FIRST_NEW
from examples.orders.scene import Settings, play
from tests.kafka.ports import PATIENCE_S

from rota.cluster import Cluster

if TYPE_CHECKING:
    from tests.brokers import BrokerUnderTest

pytestmark = pytest.mark.timeout(600)

CHECKOUT = Path(__file__).parents[2]


def quick(bootstrap: str) -> Settings:
    """As quick as `max.poll.interval.ms` can be, which is no shorter than the session timeout."""
    return Settings(bootstrap=bootstrap, order_s=0.4, new_orders=12, max_poll_s=6, session_s=6)


def test_the_naive_loop_repeats_what_was_finished_and_not_committed(
    broker: BrokerUnderTest, capsys: pytest.CaptureFixture[str]
) -> None:
    account = play("naive", quick(broker.bootstrap_servers))
    repeats = account.repeats()
    assert {repeat.order[1] for repeat in repeats} >= {FIRST_NEW, FIRST_NEW + 1}
    assert any(f"not committed it: the last commit was {FIRST_NEW}, " in repeat.reason for repeat in repeats)
    assert account.lost() == []
    told = capsys.readouterr().out
    assert re.search(
        r"SCALE UP: B is started\. Finished and not committed at this moment: 10.* of partition", told
    )
    assert "AGAIN: A had finished it at" in told
    assert "\x1b" not in told, "no colours without a terminal"


def test_on_rotas_runtime_nothing_is_lost_and_nothing_repeated(broker: BrokerUnderTest) -> None:
    account = play("rota", quick(broker.bootstrap_servers))
    assert account.repeats() == []
    assert account.lost() == []
    assert {work.order for work in account.finished} == account.orders
    assert {work.who for work in account.finished} == {"A", "B"}, "both had work"


def test_one_command_runs_it_and_leaves_nothing_behind(broker: BrokerUnderTest) -> None:
    command = [sys.executable, "-m", "examples.orders", "--only", "rota", "--order", "0.2", "--orders", "10"]
    command += ["--bootstrap-server", broker.bootstrap_servers]
    cluster = Cluster(broker.bootstrap_servers)
    before = cluster.topics()
    done = subprocess.run(
        command, cwd=CHECKOUT, capture_output=True, text=True, timeout=4 * PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Processed twice: none of 20 orders." in done.stdout
    assert "Lost: none." in done.stdout
    assert "left behind" not in done.stdout
    assert set(cluster.topics()) <= {*before, "__consumer_offsets"}
    cluster.close()


def test_without_kafka_python_it_says_what_to_do() -> None:
    code = (
        "import sys, runpy; sys.modules['kafka'] = None; sys.path.insert(0, '.'); sys.argv = ['examples.orders']; "
        "runpy.run_module('examples.orders', run_name='__main__', alter_sys=False)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: the naive loop needs kafka-python, which is not installed: pip install kafka-python, or see the "
        "other half alone with --only rota\n"
    )


def test_a_kafka_that_is_not_there_is_told_in_one_line() -> None:
    command = [sys.executable, "-m", "examples.orders", "--bootstrap-server", "127.0.0.1:1"]
    done = subprocess.run(
        command, cwd=CHECKOUT, capture_output=True, text=True, timeout=4 * PATIENCE_S, check=False
    )
    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error: ") == 1
