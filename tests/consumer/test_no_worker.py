"""Worker processes that no record reaches: the consumer ends, and no record is held responsible."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.consumer.desk import Desk, why_it_ended

from rota.consumer import App, DeadLetter, Retry, RetryTopics
from rota.consumer.workers import processes
from rota.testing import Broker

if TYPE_CHECKING:
    from pathlib import Path

MODULE = "handlers_of_no_worker"
GOOD = "def handle(record, context): pass\n"
ENDS = f"import os\nif os.getpid() != {{}}: os._exit(3)\n{GOOD}"


@pytest.fixture
def handle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A handler of a module that ends every other process that imports it."""
    (tmp_path / f"{MODULE}.py").write_text(ENDS.format(os.getpid()))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module(MODULE).handle
    del sys.modules[MODULE]


def ends_with(handle: Any) -> str:
    """What a consumer says that sends to retry topics and dead letters what it cannot handle; nothing came there, and
    nothing is committed.
    """
    with Broker() as broker:
        desk = Desk(broker.bootstrap_servers)
        source, dead, group = desk.topic("source"), desk.topic("dead"), desk.name("group")
        desk.write(source, [{"key": b"%d" % number, "value": b"x"} for number in range(20)])
        app = App(desk.config(group), concurrency=2)
        app.handler(
            source,
            workers="processes",
            retry=Retry(attempts=3, backoff=(0.001, 0.002), on=(BaseException,)),
            retry_topics=RetryTopics("1s", create=True),
            dead_letter=DeadLetter(dead),
        )(handle)
        why = why_it_ended(app.start())
        assert all(committed.offset == 0 for committed in desk.committed(group, source).values())
        assert desk.read(dead) == []
        return why


def test_a_module_that_cannot_be_imported_any_more(handle: Any, tmp_path: Path) -> None:
    (tmp_path / f"{MODULE}.py").write_text('raise ImportError("its database is away")\n')
    assert "cannot import the handler: ImportError: its database is away" in ends_with(handle)


def test_a_module_that_ends_its_process(handle: Any) -> None:
    assert "end before they have imported the handler, the last one ended with exit code 3" in ends_with(
        handle
    )


def test_processes_that_cannot_be_started(handle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any, **_options: Any) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(processes, "_PAUSES_S", (0.0, 0.0))
    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert "no worker process can be started: BlockingIOError: " in ends_with(handle)
