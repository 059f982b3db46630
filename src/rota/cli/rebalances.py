"""``rota groups rebalances``: why a group rebalanced, also before anybody watched."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from rota.cli.broker_log import broker_log_option, use_log
from rota.cli.ending import StopRequest
from rota.cli.options import admin_options, check_group, json_option
from rota.cli.output import count_of, emit, emit_json, note, printable
from rota.cli.reader import check_reader
from rota.cli.timeline import Moment
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.admin import Admin
    from rota.monitor.rebalances import Told
    from rota.watching.offsets_topic import OffsetsTopic
    from rota.watching.rebalance_log import RebalanceLog

__all__ = ["rebalances"]

SLOW_S: Final = 3.0
"""After so long, and as often, a person is told how far the reading is."""
TURN_S: Final = 0.2


@click.command()
@click.argument("group")
@click.option(
    "--at", metavar="TIME", help="Why it rebalanced at 14:02 (that minute) or 14:02:07, in a paragraph."
)
@click.option("--since", metavar="TIME", help="Only rebalances that went on at or after this time.")
@click.option("--follow", "-f", is_flag=True, help="Go on with those that come, until Ctrl+C.")
@broker_log_option("knows what is not recorded")
@json_option("Print one JSON document; with --follow one object a line.")
@admin_options
def rebalances(
    group: str,
    at: str | None,
    since: str | None,
    follow: bool,
    broker_log: Path | None,
    as_json: bool,
    admin: Admin,
) -> int:
    """Say why GROUP rebalanced: who came, who left and how, how long it took, what moved, what waited.

    It reads what brokers have recorded in __consumer_offsets, so it knows of rebalances from before it was started,
    until compaction takes them away. Kafka does not record how a member went; that is worked out from when it was last
    heard of, and said with its certainty: certain, likely, or a guess. --broker-log makes certain what a broker's log
    tells. Times are of this machine's clock: 14:02, 14:02:07, or with a date 2026-11-21T14:02,
    and a zone where it is another one, 2026-11-21T14:02:07Z.

    \b
    Examples:
      rota groups rebalances orders
      rota groups rebalances orders --at 14:02
      rota groups rebalances orders --since 13:30 --json
      rota groups rebalances orders --follow
      rota groups rebalances orders --broker-log server.log
    """
    from rota.watching.rebalance_log import RebalanceLog

    check_group(group)
    if at is not None and (since is not None or follow):
        raise RotaError("give either --at or --since and --follow", exit_code=2)
    window = _Window(at, since)
    stop = StopRequest()
    with RebalanceLog(admin, [group]) as log:
        _wait(log.topic, stop)
        if stop.code:
            return stop.code
        if log.failure is not None:
            _explain(log.failure, follow=follow)
        if broker_log is not None:
            use_log(log.topic, broker_log)
        if follow:
            _Follower(group, log, admin, as_json=as_json, broker_log=broker_log).run(window, stop)
        elif log.topic.knows(group):
            _show(group, log.account(group), window, as_json=as_json)
        else:
            raise RotaError(f"nothing is recorded for group {group}; `rota groups list` shows the groups")
    return stop.code


def _explain(failure: RotaError, *, follow: bool) -> None:
    """What is left where the topic cannot be read."""
    if not follow:
        raise RotaError(
            f"{failure}; without it only rebalances from now on can be seen, with less certainty: add --follow"
        )
    note(f"{failure}; asking the group again and again instead: causes are seen with less certainty")


def _show(group: str, found: Sequence[Told], window: _Window, *, as_json: bool) -> None:
    shown = window.chosen(found)
    if as_json:
        emit_json({"group": group, "rebalances": [each.document() for each in shown]})
    else:
        _print(group, found, shown, window)


class _Window:
    """The times asked for."""

    def __init__(self, at: str | None, since: str | None) -> None:
        self.at = None if at is None else Moment(at)
        self._since = None if since is None else Moment(since)
        self.is_narrow = at is not None or since is not None

    def chosen(self, found: Sequence[Told]) -> list[Told]:
        """Those that went on then."""
        now_ms = int(time.time() * 1000)
        since_ms, until_ms = 0, 2**63
        if self.at is not None:
            since_ms = self.at.ms(now_ms)
            until_ms = since_ms + self.at.length_ms
        elif self._since is not None:
            since_ms = self._since.ms(now_ms)
        return [each for each in found if each.since_ms < until_ms and each.until_ms >= since_ms]


def _wait(topic: OffsetsTopic, stop: StopRequest) -> None:
    """Until all is read that was there; a person is told if that takes long."""
    told_at = time.monotonic()
    number = 0
    while not stop.code and topic.failure is None and not topic.is_caught_up:
        if topic.away is not None:
            raise topic.away
        number = topic.wait(number, TURN_S)
        if time.monotonic() - told_at > SLOW_S:
            told_at = time.monotonic()
            done = topic.progress
            note(f"reading what groups have recorded: {count_of(done.records, 'record')} so far")


class _Follower:
    """Tells of rebalances as they are done, and what becomes known of them later."""

    def __init__(
        self, group: str, log: RebalanceLog, admin: Admin, *, as_json: bool, broker_log: Path | None
    ) -> None:
        self._group = group
        self._log = log
        self._admin = admin
        self._as_json = as_json
        self._broker_log = broker_log
        self._size = 0 if broker_log is None else broker_log.stat().st_size
        self._told: dict[tuple[int, int], str] = {}
        self._begun_ms = 0

    def run(self, window: _Window, stop: StopRequest) -> None:
        """Until somebody stops it. Of what was before it tells only what ``--since`` asks for."""
        from rota.watching.looker import Looker

        earlier = self._log.account(self._group)
        wanted = {_key(each) for each in window.chosen(earlier)} if window.is_narrow else set()
        for each in earlier:
            if each.is_done and _key(each) not in wanted:
                self._told[_key(each)] = each.words
        if not self._as_json:
            emit(
                f"Group {printable(self._group)}: {count_of(len(earlier), 'rebalance')} so far. Ctrl+C ends."
            )
        with Looker(self._admin, [self._group], self._log.look):
            number = 0
            while not stop.code:
                self._tell()
                sys.stdout.flush()
                check_reader()
                number = self._log.topic.wait(number, TURN_S)
                if self._log.failure is not None:
                    stop.sleep(TURN_S)

    def _tell(self) -> None:
        self._reread()
        for each in self._log.account(self._group):
            before = self._told.get(_key(each))
            if not each.is_done:
                self._began(each)
            elif before is None:
                self._told[_key(each)] = each.words
                self._print(each, each.lines())
            elif before != each.words:
                self._told[_key(each)] = each.words
                self._print(each, [f"{each.title}  after all: {each.words}", *each.reasons()])

    def _began(self, told: Told) -> None:
        if told.at_ms != self._begun_ms and not self._as_json:
            self._begun_ms = told.at_ms
            emit(f"{printable(told.title)}  a rebalance begins: {printable(told.words)}")

    def _print(self, told: Told, lines: Sequence[str]) -> None:
        if self._as_json:
            emit_json(told.document(), indent=None)
        else:
            for line in lines:
                emit(printable(line))

    def _reread(self) -> None:
        """A broker's log grows too; whoever rotates it makes it smaller."""
        if self._broker_log is None:
            return
        with suppress(OSError):
            size = self._broker_log.stat().st_size
            if size != self._size:
                self._size = size
                use_log(self._log.topic, self._broker_log)


def _key(told: Told) -> tuple[int, int]:
    """What stays of a rebalance when more becomes known of it."""
    if told.account is None:
        return (-1, told.at_ms)
    return (told.account.rebalance.generation, told.until_ms)


def _print(group: str, found: Sequence[Told], shown: Sequence[Told], window: _Window) -> None:
    count = sum(each.account is not None for each in found)
    if not found:
        emit(
            f"Group {printable(group)}: no rebalance is recorded; "
            "it may have committed without ever having had members."
        )
        return
    narrowed = f", {len(shown)} of them at the time asked for" if window.is_narrow else ""
    emit(
        f"Group {printable(group)}, since {_day_time(found[0].at_ms)}: {count_of(count, 'rebalance')}{narrowed}."
    )
    for each in shown:
        emit()
        if window.at is not None:
            emit(printable(each.paragraph()))
        for line in each.lines():
            emit(printable(line))
    if window.is_narrow and not shown:
        emit(_nearest(found))


def _nearest(found: Sequence[Told]) -> str:
    from rota.timeline.account import clock_text

    times = ", ".join(clock_text(each.at_ms) for each in found[-20:])
    return f"There were rebalances at {'… ' if len(found) > 20 else ''}{times}."


def _day_time(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000).astimezone():%Y-%m-%d %H:%M:%S}"
