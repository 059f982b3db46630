"""A look at the lag of all groups: Rota's, Kafka's own tool's, and a scrape of kminion.

Rota's is one look of a watcher that is connected (`scan`), with nothing remembered of the look before, as if every
group had committed meanwhile; the same where none has is told beside it. The tool is a process, with the start of its
JVM, as whoever calls it waits for it; so is `rota groups describe`, which has no target. kminion runs all the time and
looks when it is scraped.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.frame import Figure
from bench.monitor.groups import PARTITIONS, broker_with
from tests.children import ending_with_parent
from tests.kafka.ports import PATIENCE_S, free_ports, listening, wait_until
from tests.kafka.tools import tool_command

from rota.admin import Admin, scan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.monitor.contest import Contest

    from rota.admin.talk import Talk

__all__ = ["growth", "looks"]

FASTER_THAN_THE_TOOL, FASTER_THAN_KMINION, MOST_GROWTH = 25, 1.5, 10.5
"""The targets: times as fast, and the largest ratio of ten times as many groups."""

NAMES = {"rota": "Rota's broker", "kafka": "Kafka"}
LOOK, SCRAPE, TOOL = "a look", "a scrape of kminion", "kafka-consumer-groups --describe --all-groups"

_TOOL_EVERY = 3
"""A turn of the tool takes as long as many of the others."""


def looks(contest: Contest) -> None:
    """500 groups of 100 partitions, on both brokers, side by side."""
    for kind in contest.brokers:
        with tempfile.TemporaryDirectory() as directory:
            _looks_on(contest, kind, Path(directory))


def _looks_on(contest: Contest, kind: str, directory: Path) -> None:
    groups = contest.count(500, 50)
    what = f"{groups} groups x {PARTITIONS} on {NAMES[kind]}"
    with (
        broker_with(kind, directory, groups) as bootstrap,
        Admin(bootstrap, timeout_s=PATIENCE_S) as admin,
        ExitStack() as stack,
    ):
        scrape = stack.enter_context(kminion(contest.kminion, bootstrap)) if contest.kminion else None
        for turn in range(contest.turns):
            contest.take(what, LOOK, lambda: fresh_look(admin, groups))
            contest.take(what, f"{LOOK}, nobody has committed", lambda: known_look(admin, groups))
            if scrape is not None:
                contest.take(what, SCRAPE, scrape)
            if turn % _TOOL_EVERY == 0:
                contest.take(what, TOOL, tool_process(bootstrap))
                contest.take(what, "rota groups describe --all-groups", rota_process(bootstrap))
    name = f"{what}: a look"
    contest.compare(Figure(f"{name} : {TOOL}", "s", 1 / FASTER_THAN_THE_TOOL), what, LOOK, TOOL)
    if scrape is not None:
        contest.compare(Figure(f"{name} : {SCRAPE}", "s", 1 / FASTER_THAN_KMINION), what, LOOK, SCRAPE)


def growth(contest: Contest) -> None:
    """Ten times as many groups: 5,000 of 100 partitions beside 500."""
    for kind in contest.brokers:
        with tempfile.TemporaryDirectory() as directory:
            _growth_on(contest, kind, Path(directory))


def _growth_on(contest: Contest, kind: str, directory: Path) -> None:
    few, many = contest.count(500, 50), contest.count(5_000, 500)
    what = f"{few} and {many} groups x {PARTITIONS} on {NAMES[kind]}"
    with (
        broker_with(kind, directory, few) as of_few,
        broker_with(kind, directory, many) as of_many,
        Admin(of_few, timeout_s=PATIENCE_S) as at_few,
        Admin(of_many, timeout_s=PATIENCE_S) as at_many,
    ):
        for _ in range(contest.turns):
            contest.take(what, f"{LOOK} at {few}", lambda: fresh_look(at_few, few))
            contest.take(what, f"{LOOK} at {many}", lambda: fresh_look(at_many, many))
    figure = Figure(f"{NAMES[kind]}: a look at {many} groups : at {few}", "s", MOST_GROWTH)
    contest.compare(figure, what, f"{LOOK} at {many}", f"{LOOK} at {few}")


def fresh_look(admin: Admin, groups: int) -> None:
    """One look that makes everything anew."""

    async def forget(talk: Talk) -> None:
        talk.commits.keep_only(())

    admin.run(forget, "forget")
    known_look(admin, groups)


def known_look(admin: Admin, groups: int) -> None:
    """One look."""
    look = scan(admin)
    assert len(look.commits) == groups
    assert not look.failures


def tool_process(bootstrap: str) -> Callable[[], None]:
    """Kafka's tool, as its script starts it."""
    command = tool_command(
        "kafka-consumer-groups", "--describe", "--all-groups", "--bootstrap-server", bootstrap
    )
    return lambda: _run(command)


def rota_process(bootstrap: str) -> Callable[[], None]:
    """The command that prints the same."""
    command = [sys.executable, "-m", "rota", "groups", "describe", "--all-groups"]
    return lambda: _run([*command, "--bootstrap-server", bootstrap])


def _run(command: list[str]) -> None:
    subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=600,
        check=True,
    )


@contextmanager
def kminion(program: Path, bootstrap: str) -> Iterator[Callable[[], None]]:
    """A running kminion, every group and partition and nothing else; what it gives is one scrape."""
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "kminion.yaml"
        config.write_text(
            f"kafka:\n  brokers: ['{bootstrap}']\n"
            "logger:\n  level: error\n"
            "minion:\n"
            "  consumerGroups:\n    scrapeMode: adminApi\n    granularity: partition\n"
            "  topics:\n    granularity: partition\n"
            "  logDirs:\n    enabled: false\n"
            f"exporter:\n  host: 127.0.0.1\n  port: {port}\n"
        )
        process = subprocess.Popen(
            ending_with_parent([str(program)]),
            env={**os.environ, "CONFIG_FILEPATH": str(config)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until("kminion listens", lambda: listening(port))
            yield lambda: _scrape(f"http://127.0.0.1:{port}/metrics")
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def _scrape(url: str) -> None:
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
        text = answer.read()
    assert b"kminion_kafka_consumer_group_topic_partition_lag{" in text, text[:2000]
