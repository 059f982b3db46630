"""`rota run`: from a module to handlers at work, and to an end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
import urllib.request
from typing import TYPE_CHECKING, Any, Self

import pytest
from tests.cli.command import LIMIT_S, Said
from tests.consumer.kafka_tools import create, produce, total_committed
from tests.kafka.ports import free_ports, wait_until

from rota.consumer.reload import changed, files
from rota.testing import Broker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SHOP = """
import os, signal, time
from rota.consumer import App

app = App({"bootstrap.servers": "127.0.0.1:1", "group.id": "g"})

@app.handler("orders")
def handle(record):
    print(f"handled {record.value.decode()}\\n", end="", flush=True)
    if record.value == b"hang":
        time.sleep(600)
    if record.value == b"fail":
        raise OSError("no disk")
"""

COMMITS_LATE = SHOP.replace("import App", "import App, Limits").replace(
    '"group.id": "g"}', '"group.id": "g"}, limits=Limits(commit_interval=600_000, commit_every=1_000_000)'
)
COMES_AGAIN = "error: what was done could not be committed and comes again: orders-0 from its beginning"


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker({"auto.create.topics.enable": False}) as broker:
        create(broker, "orders", 2)
        yield broker


class Run:
    """`rota run` in a directory; what it says is read as it comes."""

    def __init__(
        self, directory: Path, *arguments: str, program: Sequence[str] = ("-m", "rota", "run")
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *program, *arguments],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUTF8": "1"},
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self._readers = [
            threading.Thread(target=lines.extend, args=(pipe,), daemon=True)
            for lines, pipe in ((self.out, self.process.stdout), (self.err, self.process.stderr))
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.ended()

    def says(self, words: str) -> None:
        """Wait for it."""
        wait_until(words, lambda: any(words in line for line in [*self.out, *self.err]) or self._over(words))

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> Said:
        code = self.process.wait(LIMIT_S)
        for reader in self._readers:
            reader.join(LIMIT_S)
        return Said(code, "".join(self.out), "".join(self.err))

    def _over(self, words: str) -> bool:
        if self.process.poll() is not None:
            said = self.ended()
            assert words in said.out + said.err, said
        return False


def at(broker: Broker) -> tuple[str, str]:
    return ("--set", f"bootstrap.servers={broker.bootstrap_servers}")


def run(directory: Path, *arguments: str) -> Said:
    with Run(directory, *arguments) as running:
        return running.ended()


def write(directory: Path, name: str, text: str) -> None:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_finishes_commits_and_ends_with_0(
    tmp_path: Path, broker: Broker, number: signal.Signals
) -> None:
    write(tmp_path, "shop.py", SHOP)
    produce(broker, "orders", [b"%d" % index for index in range(50)])
    with Run(tmp_path, "shop:app", *at(broker)) as running:
        wait_until("all records", lambda: len(running.out) >= 50 or running.process.poll() is not None)
        running.signal(number)
        said = running.ended()
    assert said.code == 0, said
    assert f"{number.name}: finishing what has begun; a second one ends at once" in said.err
    assert sorted(said.lines) == sorted(f"handled {index}" for index in range(50))
    assert total_committed(broker, "orders", 2) == 50


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 130)])
def test_a_second_signal_ends_at_once(
    tmp_path: Path, broker: Broker, number: signal.Signals, code: int
) -> None:
    write(tmp_path, "shop.py", SHOP)
    produce(broker, "orders", [b"hang"])
    with Run(tmp_path, "shop:app", *at(broker)) as running:
        running.says("handled hang")
        running.signal(number)
        running.says("finishing what has begun")
        running.signal(number)
        said = running.ended()
    assert said.code == code, said
    assert "Traceback" not in said.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_program_of_its_own_ends_the_same_way(
    tmp_path: Path, broker: Broker, number: signal.Signals
) -> None:
    write(
        tmp_path,
        "shop.py",
        SHOP.replace("127.0.0.1:1", broker.bootstrap_servers) + "app.run()\nprint('after')\n",
    )
    produce(broker, "orders", [b"1", b"2"])
    with Run(tmp_path, program=["shop.py"]) as running:
        running.says("handled 1")
        running.says("handled 2")
        running.signal(number)
        said = running.ended()
    assert said.code == 0, said
    assert said.lines[-1] == "after"
    assert total_committed(broker, "orders", 2) == 2


def test_a_failure_is_one_line_and_1(tmp_path: Path, broker: Broker) -> None:
    write(tmp_path, "shop.py", SHOP)
    produce(broker, "orders", [b"fail"], partition=1)
    said = run(tmp_path, "shop:app", *at(broker), "--log-level", "error")
    assert said.code == 1
    assert said.err.splitlines()[-1] == (
        "error: the record in orders-1 at offset 0 failed 1 time, at last with OSError: no disk"
    )


def test_a_handler_that_ends_the_program_is_told_with_its_code(tmp_path: Path, broker: Broker) -> None:
    write(tmp_path, "shop.py", SHOP.replace('raise OSError("no disk")', "raise SystemExit(7)"))
    produce(broker, "orders", [b"fail"])
    said = run(tmp_path, "shop:app", *at(broker))
    assert said.code == 1
    words = r"error: sys\.exit\(7\) was called for the record in orders-[01] at offset 0, which comes again"
    assert re.fullmatch(words, said.err.splitlines()[-1])


def test_handlers_of_a_module_run_in_processes(tmp_path: Path, broker: Broker) -> None:
    text = SHOP.replace('"orders"', '"orders", workers="processes", concurrency=2')
    write(tmp_path, "shop.py", text.replace('print(f"handled', 'print(f"{os.getpid()} handled'))
    produce(broker, "orders", [b"1", b"2"])
    with Run(tmp_path, "shop:app", *at(broker)) as running:
        running.says("handled 1")
        running.says("handled 2")
        running.signal(signal.SIGTERM)
        said = running.ended()
    assert said.code == 0, said
    assert str(running.process.pid) not in {line.split()[0] for line in said.lines}
    assert total_committed(broker, "orders", 2) == 2


def test_the_module_alone_is_enough_if_there_is_one_app(tmp_path: Path, broker: Broker) -> None:
    write(tmp_path, "shop/__init__.py", "")
    write(tmp_path, "shop/billing.py", SHOP)
    produce(broker, "orders", [b"1"])
    with Run(tmp_path, "shop.billing", *at(broker)) as running:
        running.says("handled 1")


def test_what_is_said_of_a_broker_that_is_away(tmp_path: Path) -> None:
    write(tmp_path, "shop.py", SHOP)
    (port,) = free_ports(1)
    with Run(tmp_path, "shop:app", "--set", f"bootstrap.servers=127.0.0.1:{port}") as running:
        running.says(f"waiting: no broker of 127.0.0.1:{port} answers (Connection refused); going on")
        running.signal(signal.SIGTERM)
        said = running.ended()
    assert said.code == 0, said
    assert "rdkafka#" not in said.err, "librdkafka's own lines are for --log-level debug"


def test_a_start_that_waits_for_a_broker_can_be_stopped(tmp_path: Path) -> None:
    letters = SHOP.replace('"orders"', '"orders", dead_letter=DeadLetter("dlq")')
    write(tmp_path, "shop.py", letters.replace("import App", "import App, DeadLetter"))
    with Run(tmp_path, "shop:app", "--set", f"bootstrap.servers=127.0.0.1:{free_ports(1)[0]}") as running:
        running.says("the connection was refused")
        running.signal(signal.SIGTERM)
        said = running.ended()
    assert said.code == 0, said


def test_the_end_is_bounded_when_the_broker_is_gone(tmp_path: Path) -> None:
    write(tmp_path, "shop.py", COMMITS_LATE)
    with Broker(mode="process") as broker:
        create(broker, "orders")
        produce(broker, "orders", [b"1"])
        with Run(tmp_path, "shop:app", *at(broker)) as running:
            running.says("handled 1")
            broker.kill()
            running.says("waiting: no broker of")
            produced = len(running.out)
            running.signal(signal.SIGTERM)
            began = time.monotonic()
            said = running.ended()
    assert time.monotonic() - began < 45
    assert (said.code, produced) == (1, 1), said
    assert said.err.splitlines()[-1] == COMES_AGAIN


@pytest.mark.parametrize("uncommitted", [True, False])
def test_the_end_is_bounded_when_the_broker_hangs(tmp_path: Path, uncommitted: bool) -> None:
    write(tmp_path, "shop.py", COMMITS_LATE if uncommitted else SHOP)
    with Broker(mode="process") as broker:
        create(broker, "orders")
        produce(broker, "orders", [b"1"])
        with Run(tmp_path, "shop:app", *at(broker)) as running:
            running.says("handled 1")
            wait_until("the commit", lambda: uncommitted or total_committed(broker, "orders", 1) == 1)
            os.kill(broker.pid, signal.SIGSTOP)
            try:
                running.signal(signal.SIGTERM)
                said = running.ended()
            finally:
                os.kill(broker.pid, signal.SIGCONT)
    assert said.code == uncommitted, said
    assert (COMES_AGAIN in said.err) == uncommitted


def test_what_is_said_of_a_topic_that_does_not_exist(tmp_path: Path, broker: Broker) -> None:
    write(tmp_path, "shop.py", SHOP.replace('"orders"', '"odrers"'))
    with Run(tmp_path, "shop:app", *at(broker)) as running:
        running.says("the topic odrers does not exist")
        running.says(f"`rota topics create odrers --bootstrap-server {broker.bootstrap_servers}` makes it")


MISTAKES: list[Any] = [
    pytest.param("shp:app", "there is no module shp in {directory}: did you mean shop?", id="module"),
    pytest.param("shop.py:app", "shop.py is a file: name the module, shop:app", id="file"),
    pytest.param("shop app", "expected MODULE:APP, such as shop.orders:app, not 'shop app'", id="words"),
    pytest.param("shop:ap", "shop has no ap: did you mean app? there is shop:app", id="attribute"),
    pytest.param("shop:handle", "shop:handle is no App but a function; there is shop:app", id="kind"),
    pytest.param("empty:app", "empty has no app: there is no App in empty", id="none"),
    pytest.param("two", "two alone does not say which App: there is two:one and two:other", id="two"),
]


@pytest.mark.parametrize(("target", "words"), MISTAKES)
def test_a_wrong_target_is_wrong_usage(tmp_path: Path, target: str, words: str) -> None:
    write(tmp_path, "shop.py", SHOP)
    write(tmp_path, "empty.py", "")
    write(tmp_path, "two.py", "from rota.consumer import App\none = App({})\nother = App({})\n")
    said = run(tmp_path, target)
    assert (said.code, said.out) == (2, "")
    assert said.err == f"error: {words.format(directory=tmp_path)}\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import nowhere\n", "error: shop.py line 1: there is no module nowhere; is it installed?"),
        ("def (\n", "error: shop.py line 1: invalid syntax"),
        (
            "from rota.consumer import App\napp = App({})\n\n@app.handler('a', concurency=3)\ndef f(record): ...\n",
            "error: shop.py line 4: @app.handler has no option concurency: did you mean concurrency?",
        ),
        ("def f():\n    return 1 / 0\nf()\n", "error: shop.py line 2: ZeroDivisionError: division by zero"),
        (
            "import json\nfrom rota.consumer import Retry\n\njson.loads('x')\n",
            "error: shop.py line 4: json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)",
        ),
        (
            "from rota.consumer import Retry\n\nRetry(backoff=3)\n",
            "error: shop.py line 3: Retry(backoff=3): two numbers of seconds, the shortest wait and the longest",
        ),
        (
            "from rota.consumer import Health\n\nHealth(partition_stuk=3)\n",
            "error: shop.py line 3: Health has no option partition_stuk: did you mean partition_stuck?",
        ),
    ],
)
def test_a_module_that_cannot_be_imported_says_where(tmp_path: Path, text: str, words: str) -> None:
    write(tmp_path, "shop.py", text)
    said = run(tmp_path, "shop:app")
    assert said.code == 1
    assert said.err.splitlines()[-1] == words
    assert "importlib" not in said.err


def test_what_cannot_work_is_told_when_it_starts(tmp_path: Path) -> None:
    write(tmp_path, "shop.py", SHOP)
    said = run(tmp_path, "shop:app", "--set", "sesion.timeout.ms=6000")
    assert said.code == 2
    words = (
        "error: the client has no configuration property sesion.timeout.ms: did you mean session.timeout.ms?"
    )
    assert said.err.splitlines()[-1] == words
    for wrong in ("x", "enable.auto.commit=true", "session.timeout.ms=abc", "group.id="):
        assert run(tmp_path, "shop:app", "--set", wrong).code == 2, wrong


def test_the_port_answers_whether_it_is_well(tmp_path: Path, broker: Broker) -> None:
    write(tmp_path, "shop.py", SHOP)
    produce(broker, "orders", [b"1"])
    (port,) = free_ports(1)
    with Run(tmp_path, "shop:app", *at(broker), "--port", str(port)) as running:
        running.says("handled 1")
        wait_until("it is ready", lambda: b"ready" in _get(f"http://127.0.0.1:{port}/health/ready"))
        assert b'"group": "g"' in _get(f"http://127.0.0.1:{port}/state")


def test_any_free_port_is_told(tmp_path: Path, broker: Broker) -> None:
    write(tmp_path, "shop.py", SHOP)
    with Run(tmp_path, "shop:app", *at(broker), "--port", "0") as running:
        running.says(" answers /health/live")
        (url,) = [
            word
            for line in running.err
            if " answers /health" in line
            for word in line.split()
            if "://" in word
        ]
        wait_until("it is ready", lambda: b"ready" in _get(f"{url}/health/ready"))


def _get(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=LIMIT_S) as answer:
            found: bytes = answer.read()
    except OSError:
        return b""
    return found


def test_reload_restarts_after_a_change_and_survives_a_mistake(tmp_path: Path, broker: Broker) -> None:
    write(tmp_path, "shop.py", SHOP)
    produce(broker, "orders", [b"1"])
    with Run(tmp_path, "shop:app", *at(broker), "--reload") as running:
        running.says("handled 1")
        write(tmp_path, "shop.py", "def (")
        running.says("shop.py changed: restarting")
        running.says("error: shop.py line 1: invalid syntax")
        running.says("it ended with 1; waiting for a change")
        write(tmp_path, "shop.py", SHOP.replace("handled", "seen"))
        produce(broker, "orders", [b"2"])
        running.says("seen 2")
        running.signal(signal.SIGINT)
        said = running.ended()
    assert said.code == 0, said
    assert "handled 2" not in said.out
    assert total_committed(broker, "orders", 2) == 2


def test_a_reloaded_program_ends_with_whoever_watches_it(tmp_path: Path, broker: Broker) -> None:
    write(
        tmp_path,
        "shop.py",
        SHOP.replace("import os", "import os; print('pid', os.getpid(), flush=True); import os"),
    )
    produce(broker, "orders", [b"1"])
    with Run(tmp_path, "shop:app", *at(broker), "--reload") as running:
        running.says("handled 1")
        (pid,) = (int(line.split()[1]) for line in running.out if line.startswith("pid"))
        running.process.kill()
        wait_until("the end of the program", lambda: not _alive(pid))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:  # noqa: PTH123
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return True


def test_files_are_looked_at_by_time_and_size(tmp_path: Path) -> None:
    write(tmp_path, "shop.py", "1")
    write(tmp_path, "notes.txt", "1")
    write(tmp_path, ".hidden/a.py", "1")
    write(tmp_path, "venv/pyvenv.cfg", "")
    write(tmp_path, "venv/lib/b.py", "1")
    write(tmp_path, "deep/er/c.py", "1")
    before = files(tmp_path)
    assert sorted(path.name for path in before) == ["c.py", "shop.py"]
    assert changed(before, files(tmp_path)) == []
    write(tmp_path, "shop.py", "12")
    write(tmp_path, "new.py", "1")
    (tmp_path / "deep/er/c.py").unlink()
    assert [path.name for path in changed(before, files(tmp_path))] == ["c.py", "new.py", "shop.py"]


def test_the_help_holds_a_program_that_can_be_run(tmp_path: Path, broker: Broker) -> None:
    said = run(tmp_path, "--help")
    program = said.out.partition("The file shop.py:\n")[2].partition("Examples:")[0]
    write(tmp_path, "shop.py", textwrap.dedent(program))
    produce(broker, "orders", [b"1"], key="ann")
    with Run(tmp_path, "shop:app", *at(broker)) as running:
        running.says("b'ann' b'1'")


def test_completion_knows_the_modules_here(tmp_path: Path) -> None:
    write(tmp_path, "shop.py", SHOP)
    write(tmp_path, "shop2/__init__.py", "")
    write(tmp_path, "shop2/orders.py", "")
    environment = {
        **os.environ, "_ROTA_COMPLETE": "bash_complete", "COMP_WORDS": "rota run sh", "COMP_CWORD": "2"
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", "from rota.cli import main; main()"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    names = [line.partition(",")[2] for line in done.stdout.splitlines()]
    assert names == ["shop", "shop2", "shop2.orders"], done
