"""``rota doctor``: what is wrong with a group, why, on what evidence, and what to do."""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from rota.cli.broker_log import broker_log_option, use_log
from rota.cli.groups_options import group_names, missing_words, raise_all
from rota.cli.options import FiniteRange, admin_options, connection_words, json_option
from rota.cli.output import emit, emit_json, note, table
from rota.model import RotaError, count_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rota.admin import Admin
    from rota.cli.groups_text import Line
    from rota.monitor.doctor import Diagnosis, Evidence
    from rota.watching.evidence import Checkup
    from rota.watching.offsets_topic import OffsetsTopic

__all__ = ["doctor"]

FINDINGS: Final = 3
"""The exit code when something is wrong."""
LOOK_S: Final = 16.0
"""How long groups are looked at, unless told: three commits of a client that commits every 5 s."""
EVERY_S: Final = 1.0
LEAST_LOOKS: Final = 4
CALM_S: Final = 3.0
"""Where nobody is behind and nothing moves, so long a look is enough."""
READ_S: Final = 10.0
"""How much longer than that `__consumer_offsets` is read."""


@click.command()
@group_names("examine", unless=("explain", "show_rules"))
@click.option(
    "--for",
    "look_s",
    type=FiniteRange(min=0, max=3_600),
    metavar="SECONDS",
    help=f"Look for so long; 0 is one look.  [default: {LOOK_S:g}, or {CALM_S:g} if nobody is behind]",
)
@click.option(
    "--watch",
    type=FiniteRange(min=0.5, max=86_400),
    metavar="SECONDS",
    help="Look again every so often, until Ctrl+C; findings come and go.",
)
@broker_log_option("makes certain why members left")
@click.option("--explain", metavar="RULE", help="Explain a rule, such as D11 or poll-interval.")
@click.option("--rules", "show_rules", is_flag=True, help="List all rules.")
@json_option("Print one JSON document; with --watch one a line.")
@admin_options
def doctor(
    names: tuple[str, ...],
    look_s: float | None,
    watch: float | None,
    broker_log: Path | None,
    explain: str | None,
    show_rules: bool,
    as_json: bool,
    admin: Admin,
) -> int:
    """Say what is wrong with each GROUP, why, on what evidence, and what to do.

    It looks for some seconds, reads what the group has recorded in __consumer_offsets, and judges some thirty rules;
    those that lack something are named. It joins nothing and changes nothing.

    Exit codes: 0 healthy, or nothing found so far (it then says so; things worth knowing are no illness), 1 failed, not
    everything could be seen, or a group does not exist, 2 wrong usage, 3 something is wrong.

    \b
    Examples:
      rota doctor orders
      rota doctor --all --for 30
      rota doctor orders --watch 5
      rota doctor orders --json
      rota doctor --explain D11
    """
    if explain is not None or show_rules:
        return _teach(explain, as_json=as_json)
    from rota.watching.offsets_topic import OffsetsTopic

    if look_s is not None and watch is not None:
        raise RotaError("give either --for or --watch", exit_code=2)
    admin.nodes()  # a wrong address is said once, at the start
    with ExitStack() as stack:
        topic = stack.enter_context(OffsetsTopic(admin, names or None))
        if broker_log is not None:
            use_log(topic, broker_log)
        checkup = _checkup(admin, names, topic, max(60.0, 2 * (look_s or 0), 60 * (watch or 0)))
        if watch is not None:
            return _watch(checkup, names, watch, as_json=as_json)
        return _once(checkup, topic, names, look_s, as_json=as_json)


def _teach(explain: str | None, *, as_json: bool) -> int:
    """What a rule means, or which rules there are."""
    import difflib

    from rota.cli.doctor_text import explanation, rule_document, rule_lines
    from rota.monitor.doctor import all_rules

    if explain is None:
        if as_json:
            emit_json([rule_document(rule) for rule in all_rules()])
            return 0
        for line in table(["RULE", "SEVERITY", "NAME", "WHAT"], rule_lines(all_rules())):
            emit(line)
        return 0
    known = {name: rule for rule in all_rules() for name in (rule.id, rule.name)}
    rule = known.get(explain.strip().upper()) or known.get(explain.strip().lower())
    if rule is None:
        close = difflib.get_close_matches(explain.lower(), known, n=1)
        hint = f"did you mean {close[0]}?" if close else "`rota doctor --rules` lists them"
        raise RotaError(f"there is no rule {explain!r}: {hint}", exit_code=2)
    if as_json:
        emit_json(rule_document(rule))
        return 0
    for line in explanation(rule, min(_width(), 100)):
        emit(line)
    return 0


# Asking


def _checkup(admin: Admin, names: tuple[str, ...], topic: OffsetsTopic, window_s: float) -> Checkup:
    from rota.watching.evidence import Checkup

    return Checkup(admin, groups=names or None, topic=topic, window_s=window_s, connection=connection_words())


def _once(
    checkup: Checkup, topic: OffsetsTopic, names: tuple[str, ...], look_s: float | None, *, as_json: bool
) -> int:
    progress = _Progress()
    for left_s in _looks(checkup, topic, look_s):
        progress.show(
            f"looking at {count_of(len(names), 'group') if names else 'all groups'}: {left_s:.0f} s left"
        )
    progress.clear()
    found = _examine(checkup, names)
    shown = found.examined or found.failure is not None or not found.missing
    if as_json and shown:
        from rota.cli.doctor_text import document

        emit_json(document(*found))
    elif shown:
        for line in _screen(found):
            emit(line)
    problems = found.problems()
    code = _exit_code(found)
    if code == FINDINGS:  # what is wrong counts more
        for problem in problems:
            note(f"error: {problem}")
    else:
        raise_all(problems)
    return code


def _looks(checkup: Checkup, topic: OffsetsTopic, look_s: float | None) -> Iterator[float]:
    """Look until it has been long enough; gives how many seconds are left, at most.

    Raises:
        RotaError: the first look found nothing at all.
    """
    wanted_s = LOOK_S if look_s is None else look_s
    began, number = time.monotonic(), 0
    while True:
        started = time.monotonic()
        seen = checkup.look()
        number += 1
        if seen.snapshot is None and seen.failure is not None:
            raise seen.failure
        took_s = time.monotonic() - began
        calm = look_s is None and number >= LEAST_LOOKS and took_s >= CALM_S and checkup.is_calm
        if took_s >= wanted_s or calm:
            break
        yield wanted_s - took_s
        every_s = min(EVERY_S, wanted_s / LEAST_LOOKS)
        time.sleep(max(0.0, min(started + every_s - time.monotonic(), began + wanted_s - time.monotonic())))
    limit = time.monotonic() + READ_S
    while not checkup.is_away and not topic.is_caught_up and not topic.failure and time.monotonic() < limit:
        yield 0.0
        topic.wait(0, 0.1)


class _Found(NamedTuple):
    """Evidence and diagnosis of each group, those of the names that no group has, and why not everything was seen."""

    examined: list[tuple[Evidence, Diagnosis]]
    missing: tuple[str, ...]
    failure: RotaError | None

    def problems(self) -> list[RotaError]:
        """What is an error, whatever the groups have."""
        missing = [RotaError(missing_words(self.missing))] if self.missing else []
        return [*([self.failure] if self.failure is not None else []), *missing]


def _examine(checkup: Checkup, names: tuple[str, ...]) -> _Found:
    from rota.monitor.doctor import diagnose

    found = checkup.evidence()
    missing = tuple(name for name in names if not _exists(found.get(name)))
    there = [evidence for name, evidence in found.items() if name not in missing]
    return _Found([(evidence, diagnose(evidence)) for evidence in there], missing, checkup.failure)


def _exists(evidence: Evidence | None) -> bool:
    return evidence is not None and bool(
        evidence.failure or evidence.facts.exists or evidence.view.partitions
    )


def _exit_code(found: _Found) -> int:
    if any(diagnosis.verdict == "ill" for _, diagnosis in found.examined):
        return FINDINGS
    unknown = any(evidence.failure or evidence.unseen for evidence, _ in found.examined)
    return 1 if unknown or found.problems() else 0


def _watch(checkup: Checkup, names: tuple[str, ...], seconds: float, *, as_json: bool) -> int:
    from rota.cli.doctor_text import document
    from rota.cli.groups_text import Line
    from rota.cli.watch import every, watch_text

    def look() -> list[Line]:
        checkup.look()
        found = _examine(checkup, names)
        problems = [Line(f"error: {problem}") for problem in found.problems()]
        return [*(Line(line) for line in (_screen(found) if found.examined else ())), *problems]

    first = checkup.look()  # a wrong address is said at once; later failures are shown and waited out
    if first.snapshot is None and first.failure is not None:
        raise first.failure
    if not as_json:
        watch_text(seconds, " ".join(["rota doctor", *(names or ["--all"])]), look)
    for _ in every(seconds):
        checkup.look()
        emit_json(document(*_examine(checkup, names)), indent=None)
        sys.stdout.flush()
    return 0


# Showing


def _screen(found: _Found) -> list[str]:
    from rota.cli.doctor_text import in_colour, report, unjudged_lines

    width = _width()
    lines = report(found.examined, width, whole=found.failure is None, colour=in_colour())
    unjudged = unjudged_lines(found.examined, width)
    return [*lines, *([""] if unjudged else []), *unjudged]


def _width() -> int:
    return shutil.get_terminal_size((100, 24)).columns


class _Progress:
    """One line on a terminal's standard error that is gone when the answer comes."""

    def __init__(self) -> None:
        self._on = sys.stderr.isatty()

    def show(self, text: str) -> None:
        """In place of what was shown."""
        if self._on:
            sys.stderr.write(f"\r{text}\x1b[K")
            sys.stderr.flush()

    def clear(self) -> None:
        """Nothing is left of it."""
        if self._on:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
