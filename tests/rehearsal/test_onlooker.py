"""What `rota top` would show, in the lab: the level of its lag, the doctor's findings; and silence without a broker."""

from __future__ import annotations

import subprocess
import sys

from tests.kafka.ports import PATIENCE_S, wait_until

from rota.cluster import Cluster
from rota.monitor.view import Level
from rota.rehearsal.board import draw_board
from rota.rehearsal.lab import Lab
from rota.rehearsal.onlooker import Onlooker
from rota.rehearsal.report import summary_document, summary_lines
from rota.rehearsal.session import Session
from rota.rehearsal.settings import LabSettings
from rota.testing import Broker


def _rules(session: Session) -> set[str]:
    session.tick()
    return {noted.finding.rule for noted in session.found.all()}


def _finish(session: Session) -> bool:
    session.tick()
    return session.finished


def test_a_member_without_work_is_named_while_the_lab_runs_and_at_its_end() -> None:
    with Lab(LabSettings(consumers=4, session_timeout_ms=3_000)) as lab:
        lab.start()
        session = Session(lab, play=False)
        wait_until("the idle member is found", lambda: "D06" in _rules(session))
        rows = draw_board(session.board())
        assert any(row.startswith("lag: ") for row in rows), rows
        assert any(row.startswith("doctor: ") for row in rows), rows
        session.end()
        wait_until("all is read", lambda: _finish(session))
        summary, found = session.conclude(), session.found.all()
        words = "1 of 4 members has no partition"
        assert any("D06" in line and words in line for line in summary_lines(summary, found))
        findings = summary_document(summary, found=found)["findings"]
        assert words in next(each for each in findings if each["rule"] == "D06")["words"]


def test_an_overload_makes_the_lag_grow() -> None:
    settings = LabSettings(consumers=1, rate=200, handler_delay_ms=100, session_timeout_ms=3_000)
    with Lab(settings) as lab:
        lab.start()
        session = Session(lab, play=False)

        def grows() -> bool:
            session.tick()
            view = session.board().view
            return view is not None and view.totals.rates.level is Level.GROWING

        wait_until("the lag grows", grows)
        assert any("↑ growing" in row for row in draw_board(session.board()))


def test_a_broker_that_is_gone_costs_the_view_and_nothing_else() -> None:
    with Broker() as broker:
        onlooker = Onlooker(broker.bootstrap_servers, {}, "g", 500)
        try:
            _commit(broker.bootstrap_servers)
            wait_until("the group is seen", lambda: onlooker.view() is not None)
            broker.stop()
            wait_until("nobody answers", lambda: onlooker.view() is None)
        finally:
            onlooker.close()
        assert onlooker.view() is None


def test_what_the_clients_of_a_cluster_want_may_be_too_much_for_it() -> None:
    onlooker = Onlooker("127.0.0.1:1", {"security.protocol": "nonsense"}, "g", 500)
    onlooker.close()
    assert onlooker.view() is None


def test_the_screen_needs_no_textual() -> None:
    code = "import sys, rota.rehearsal.live, rota.rehearsal.onlooker; print('textual' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    assert done.stdout == "False\n"


def _commit(bootstrap: str) -> None:
    from confluent_kafka import Consumer, TopicPartition

    cluster = Cluster(bootstrap)
    cluster.create_topic("orders", partitions=1)
    cluster.close()
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "g"})
    consumer.commit(offsets=[TopicPartition("orders", 0, 0)], asynchronous=False)
    consumer.close()
