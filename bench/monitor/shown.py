"""How soon `rota top` shows a rebalance, and whether it says the right cause: the real program on a terminal.

    python -m bench.monitor.shown --broker rota --protocol classic --rounds 10

A rebalance begins when the broker's log says so. It is shown when the line below the group's name tells of it, or the
head says REBALANCING. The cause is right when that line, once the group is stable, has the right words and member.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Self

from bench.monitor.provoke import KINDS, PROTOCOLS, Provoked, Stage
from tests.brokers import BrokerUnderTest, new_broker
from tests.rehearsal.terminal import Terminal

__all__ = ["Shown", "Watcher", "measure"]

WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "join": ("{who} joined",),
    "leave": ("{who} left",),
    "killed": ("{who} was silent for its whole session timeout",),
    "poll": ("{who} took longer than max.poll.interval.ms between two polls",),
    "static": ("a static member came back with other settings ({who})", "{who} came back as a new process"),
    "subscription": ("{who} changed its subscription",),
    "partitions": ("the number of partitions changed",),
}
LIMIT_S: Final = 1.0
STAMP: Final = re.compile(r"^\[?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3})")
FRESH: Final = re.compile(r"Last rebalance (\S+) ago: ([^\n]*?)(?:, took|, \d+ moved|\s{2,}|$)")
BUSY: Final = "REBALANCING"


@dataclass(frozen=True)
class Shown:
    """One rebalance: how long after its beginning it was shown, in seconds (None: never), and the cause on screen."""

    kind: str
    protocol: str
    delay_s: float | None
    cause: str
    right: bool


class Watcher:
    """`rota top GROUP` on a pty; a thread notes when what came."""

    def __init__(self, bootstrap: str, group: str) -> None:
        self._terminal = Terminal("top", group, "-b", bootstrap, columns=200, rows=50)
        self._parts: list[tuple[float, str]] = []
        self._ended = False
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._terminal.wait_for("Members")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._thread.join()
        self._terminal.press("q")
        self._terminal.wait()
        self._terminal.__exit__(None, None, None)

    def _read(self) -> None:
        while not self._ended:
            self._terminal.forget()
            if not self._terminal.read(0.05):
                return
            if self._terminal.text:
                self._parts.append((time.time(), self._terminal.text))

    def shown_after(self, began_s: float) -> float | None:
        """When something of a rebalance was shown that began then, in seconds after it."""
        for at_s, text in list(self._parts):
            if at_s < began_s:
                continue
            if BUSY in text:
                return at_s - began_s
            for found in FRESH.finditer(text):
                # What is rounded to a tenth of a second may seem to be from before.
                if at_s - _seconds(found[1]) > began_s - 0.15:
                    return at_s - began_s
        return None

    def cause(self, began_s: float) -> str:
        """What was said of the first rebalance that was done after that, when it was said last."""
        first: float | None = None
        words = ""
        for at_s, text in list(self._parts):
            for found in FRESH.finditer(text) if at_s >= began_s else ():
                done_s = at_s - _seconds(found[1])
                if done_s < began_s - 0.15 or (first is not None and abs(done_s - first) > 1.1):
                    continue  # another one; minutes are told to the second
                first = done_s if first is None else first
                words = found[2].strip()
        return words


def _seconds(age: str) -> float:
    """``0.4s``, ``14s``, ``3m12s``."""
    minutes, _, rest = age.rpartition("m")
    return float(rest.rstrip("s")) + 60 * float(minutes or 0)


def beginnings(log: Path, group: str, kind: str, protocol: str) -> list[float]:
    """When rebalances of the group began, by the broker's log, in seconds since 1970."""
    mark = (
        f"group {group}: rebalance begins"
        if kind == "rota"
        else f"[GroupId {group}] Bumped group epoch"
        if protocol == "consumer"
        else f"Preparing to rebalance group {group} in state"
    )
    returned = (  # a static member takes its former place without a rebalance
        f"group {group}: .* came back"
        if kind == "rota"
        else f"tatic member .* group {group}|{group}.* tatic member"
    )
    found = []
    for line in log.read_text(errors="replace").splitlines():
        stamp = STAMP.match(line)
        if stamp is not None and (mark in line or re.search(returned, line)):
            found.append(datetime.strptime(stamp[1], "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp())
    return found


def measure(
    broker: BrokerUnderTest, log: Path, protocol: str, kinds: list[str], rounds: int
) -> Iterator[Shown]:
    """Provoke, look, judge; each kind once a round."""
    for static in (False, True):
        chosen = [kind for kind in kinds if (kind == "static") is static]
        if not chosen:
            continue
        with (
            Stage(broker.bootstrap_servers, protocol, static=static) as stage,
            Watcher(broker.bootstrap_servers, stage.group) as watcher,
        ):
            for _ in range(rounds):
                for kind in chosen:
                    done = stage.provoke(kind)
                    yield _judged(stage, watcher, broker.kind, log, done)
                    stage.restore()


def _judged(stage: Stage, watcher: Watcher, broker: str, log: Path, done: Provoked) -> Shown:
    time.sleep(1.5)  # a look, and its drawing
    began = [
        at_s
        for at_s in beginnings(log, stage.group, broker, stage.protocol)
        if at_s * 1000 >= done.since_ms - 50
    ]
    began_s = began[0] if began else done.since_ms / 1000
    delay_s = watcher.shown_after(began_s)
    cause = watcher.cause(began_s)
    right = any(words.format(who=done.client_id) in cause for words in WORDS[done.kind])
    return Shown(done.kind, stage.protocol, delay_s, cause, right)


@contextmanager
def _broker(kind: str) -> Iterator[tuple[BrokerUnderTest, Path]]:
    with tempfile.TemporaryDirectory() as directory, new_broker(kind, Path(directory) / "data") as broker:
        yield broker, broker.log_file  # type: ignore[attr-defined]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--broker", choices=("rota", "kafka"), default="rota")
    parser.add_argument("--protocol", choices=PROTOCOLS, action="append")
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    found: list[Shown] = []

    def one(broker: BrokerUnderTest, log: Path, protocol: str) -> None:
        for shown in measure(broker, log, protocol, asked.kind or list(KINDS), asked.rounds):
            found.append(shown)
            delay = "never" if shown.delay_s is None else f"{shown.delay_s:.2f} s"
            mark = "" if shown.right else "   WRONG"
            print(f"{shown.protocol:<12} {shown.kind:<13} {delay:>7}  {shown.cause}{mark}", flush=True)

    protocols = asked.protocol or PROTOCOLS
    with _broker(asked.broker) as (broker, log), ThreadPoolExecutor(len(protocols)) as pool:
        for done in [pool.submit(one, broker, log, protocol) for protocol in protocols]:
            done.result()
    soon = sum(each.delay_s is not None and each.delay_s <= LIMIT_S for each in found)
    right = sum(each.right for each in found)
    print(f"{len(found)} rebalances: {soon} shown within {LIMIT_S:g} s, {right} with the right cause")
    if asked.json:
        asked.json.write_text(json.dumps([asdict(each) for each in found], indent=1))
    sys.exit(0 if found and soon == len(found) and right >= 0.95 * len(found) else 1)


if __name__ == "__main__":
    main()
