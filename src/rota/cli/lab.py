"""``rota lab``: a consumer group of real processes to watch, to steer and to break."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from rota.cli.options import FiniteRange
from rota.cli.output import emit, emit_json, note
from rota.cli.reader import sleep_while_read
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rota.rehearsal.session import Session
    from rota.rehearsal.settings import LabSettings
    from rota.timeline import Summary

__all__ = ["lab"]

NAMES = {"topic": "web-events-partitioned", "group": "web-events-group"}
"""On the broker of its own, where nobody else has names."""

NAMES_ELSEWHERE = {"topic": "rota-lab-web-events", "group": "rota-lab"}
"""On somebody's Kafka: names that nobody gives to topics and groups of another kind."""


def _default(what: str) -> str:
    return f"[default: {NAMES[what]}; with --bootstrap-server: {NAMES_ELSEWHERE[what]}]"


@click.command()
@click.option(
    "--consumers", type=click.IntRange(1, 9), default=3, show_default=True, help="How many to start with."
)
@click.option(
    "--partitions", type=click.IntRange(1, 100), default=3, show_default=True, help="Of the lab's topic."
)
@click.option(
    "--rate",
    type=FiniteRange(0, 2000),
    default=30.0,
    show_default=True,
    metavar="N",
    help="Events a second from the producer.",
)
@click.option(
    "--duration",
    type=FiniteRange(1),
    metavar="SECONDS",
    help="End after this time, even in the middle of the script.",
)
@click.option(
    "--group-protocol",
    type=click.Choice(["classic", "consumer"]),
    default="classic",
    show_default=True,
    help="consumer: that of KIP-848, in which the broker assigns and nobody stops for the others.",
)
@click.option(
    "--assignor",
    type=click.Choice(["range", "roundrobin", "cooperative-sticky", "uniform"]),
    help="How partitions are shared out; classic range and roundrobin stop everybody for each rebalance.  "
    "[default: range; with --group-protocol consumer: uniform]",
)
@click.option("--static", is_flag=True, help="Static members: each consumer has a group.instance.id.")
@click.option(
    "--session-timeout",
    type=click.IntRange(1000),
    metavar="MS",
    help="Silence after which a consumer is taken for dead (Kafka's default: 45000).  [default: 6000]",
)
@click.option(
    "--heartbeat-interval",
    type=click.IntRange(1),
    metavar="MS",
    help="How often a consumer says that it lives.  [default: a third of the session timeout, at most Kafka's]",
)
@click.option(
    "--max-poll-interval",
    type=click.IntRange(1),
    metavar="MS",
    help="Time between two polls after which a client leaves the group (Kafka's default: 300000).  [default: 10000, "
    "or the session timeout if that is longer]",
)
@click.option(
    "--kind",
    type=click.Choice(["rota", "loop"]),
    help="What the consumers are: handlers on rota.consumer, or poll loops as in most tutorials.  "
    "[default: rota; with --commit auto: loop]",
)
@click.option(
    "--commit",
    type=click.Choice(["manual", "auto"]),
    default="manual",
    show_default=True,
    help="Commit what is done, or let the client commit what it has handed out.",
)
@click.option(
    "--auto-commit-interval",
    type=click.IntRange(1),
    default=5000,
    show_default=True,
    metavar="MS",
    help="How often the client commits, with --commit auto.",
)
@click.option(
    "--handler",
    type=FiniteRange(0, 60_000),
    default=10.0,
    show_default=True,
    metavar="MS",
    help="How long a consumer works on one record.",
)
@click.option("--users", type=click.IntRange(1), default=100, show_default=True, help="Keys of the events.")
@click.option(
    "--skew",
    type=FiniteRange(0),
    default=0.0,
    show_default=True,
    metavar="S",
    help="How much busier the first users are (1 makes a hot partition).",
)
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed makes the same events.")
@click.option(
    "--story",
    type=click.Choice(["script", "rolling-restart"]),
    default="script",
    show_default=True,
    help="What is played: faults and overload, or every consumer restarted in turn.",
)
@click.option("--script", is_flag=True, help="On a terminal: play the script at once, and end with it.")
@click.option("--plain", is_flag=True, help="On a terminal: plain lines, as into a file.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON; the story goes to stderr.")
@click.option(
    "--svg",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw who owned what, pauses and repeats.",
)
@click.option(
    "--timeline",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Keep all events as JSON lines.",
)
@click.option(
    "--bootstrap-server",
    "-b",
    metavar="HOST:PORT",
    help="Use this Kafka instead of an embedded broker; the lab only touches a group and a topic of its own.",
)
@click.option(
    "--command-config",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Client properties for that Kafka (security.protocol=…, sasl.…).",
)
@click.option("--topic", metavar="NAME", help=f"The lab's topic.  {_default('topic')}")
@click.option("--group", metavar="NAME", help=f"The lab's group.  {_default('group')}")
@click.option(
    "--keep", is_flag=True, help="With --bootstrap-server: do not delete group and topic at the end."
)
def lab(
    script: bool, plain: bool, as_json: bool, svg: Path | None, timeline: Path | None, **options: Any
) -> int:
    """Watch a consumer group rebalance live, and steer it.

    Starts a broker, a topic, a producer of web events and consumers, each in its own process. On a terminal you
    see who owns which partition, and keys add, kill, stop, freeze and slow consumers. Without a terminal a script
    kills one consumer with kill -9, brings it back, stops others and overloads the last one.

    At the end comes what was measured: pauses, moves, records processed twice, and whether every acknowledged
    record was processed. Exit code 1 if one was lost.

    \b
    Examples:
      rota lab
      rota lab --assignor cooperative-sticky --consumers 2 --partitions 6
      rota lab --group-protocol consumer      the newer protocol (KIP-848)
      rota lab --commit auto                  poll loops whose client commits every 5 s
      rota lab --plain --story rolling-restart --static
      rota lab --script --svg lab.svg
      rota lab | cat                          the script, in plain lines
    """
    settings = _settings(**options)
    for path in (svg, timeline):
        _check_writable(path)
    live = not plain and not as_json and _is_terminal()
    say = note if as_json else _flushed
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    return _run(settings, say, live=live, play=script, as_json=as_json, svg=svg, timeline=timeline)


def _run(
    settings: LabSettings,
    say: Callable[[str], None],
    *,
    live: bool,
    play: bool,
    as_json: bool,
    svg: Path | None,
    timeline: Path | None,
) -> int:
    from rota.rehearsal.lab import Lab
    from rota.rehearsal.plain import run_plain
    from rota.rehearsal.report import exit_code

    with Lab(settings) as stage:
        _announce(settings, say)
        if settings.bootstrap is not None:
            say(
                f"At {settings.bootstrap} the lab's own topic is {settings.topic}, its group {settings.group}."
            )
        stage.start()
        say(f"Cluster {stage.bootstrap}, topic {settings.topic}, group {settings.group}.")
        if live:
            from rich.console import Console

            from rota.rehearsal.live import run_live

            session = run_live(stage, Console(), play=play)
        else:
            session = run_plain(stage, say, sleep_while_read)
        summary = session.conclude()
        _report(session, summary, as_json=as_json)
        _write_files(session, svg, timeline, say)
    for line in stage.notes:
        note(f"left behind: {line}")
    if stage.trouble:
        note(f"error: {stage.trouble}")
    return exit_code(summary, stage.trouble)


def _settings(
    group_protocol: str,
    assignor: str | None,
    session_timeout: int | None,
    heartbeat_interval: int | None,
    max_poll_interval: int | None,
    kind: str | None,
    commit: str,
    auto_commit_interval: int,
    handler: float,
    duration: float | None,
    bootstrap_server: str | None,
    command_config: Path | None,
    topic: str | None,
    group: str | None,
    **options: Any,
) -> LabSettings:
    from rota.cluster import client_properties
    from rota.properties_file import read_properties
    from rota.rehearsal.settings import LabSettings

    if command_config is not None and bootstrap_server is None:
        raise RotaError(
            "--command-config is for the Kafka of --bootstrap-server, which is missing", exit_code=2
        )
    properties = client_properties(read_properties(command_config)) if command_config is not None else {}
    properties.pop("bootstrap.servers", None)
    names = NAMES if bootstrap_server is None else NAMES_ELSEWHERE
    return LabSettings(
        topic=names["topic"] if topic is None else topic,
        group=names["group"] if group is None else group,
        protocol=group_protocol,
        assignor=assignor or ("uniform" if group_protocol == "consumer" else "range"),
        session_timeout_ms=_session_ms(session_timeout, group_protocol, bootstrap_server),
        wanted_heartbeat_ms=heartbeat_interval,
        wanted_max_poll_ms=max_poll_interval,
        kind=kind or ("loop" if commit == "auto" else "rota"),
        commit=commit,
        auto_commit_interval_ms=auto_commit_interval,
        handler_delay_ms=handler,
        duration_s=duration,
        bootstrap=bootstrap_server,
        client_properties=properties,
        **options,
    )


def _session_ms(wanted: int | None, group_protocol: str, bootstrap_server: str | None) -> int:
    """As wanted, else short enough for a lesson; on somebody's Kafka a consumer group has Kafka's own.

    Raises:
        RotaError: a timeout is wanted where it is the cluster's to set.
    """
    if group_protocol != "consumer" or bootstrap_server is None:
        return wanted or 6_000
    if wanted is None:
        return 45_000
    raise RotaError(
        "with --group-protocol consumer the session timeout is the cluster's (group.consumer.session.timeout.ms); "
        "--session-timeout is for the lab's own broker",
        exit_code=2,
    )


def _announce(settings: LabSettings, say: Callable[[str], None]) -> None:
    changes = settings.changes()
    if changes:
        say("Changed for the lesson: " + "; ".join(map(str, changes)) + ".")


def _report(session: Session, summary: Summary, *, as_json: bool) -> None:
    from rota.rehearsal.report import summary_document, summary_lines
    from rota.rehearsal.restarts import restart_lines
    from rota.timeline.text import draw_text

    restart = _restart(session, summary)
    if as_json:
        changed = {change.name: change.value for change in session.lab.settings.changes()}
        more = {} if restart is None else {"rolling_restart": restart}
        found = session.found.all()
        emit_json(summary_document(summary, session.lab.trouble, found, changed_settings=changed, **more))
        return
    emit()
    for line in summary_lines(summary, session.found.all()):
        emit(_wrapped(line))
    if restart is not None:
        emit()
    for line in restart_lines(restart) if restart is not None else ():
        emit(_wrapped(line))
    emit()
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    # The findings have listed the rebalances, under the numbers that the drawing shows.
    emit(draw_text(session.whole(), _width(), color=colour, rebalances=False).rstrip("\n"))


def _restart(session: Session, summary: Summary) -> dict[str, Any] | None:
    """What the rolling restart cost; None if none was played."""
    from rota.rehearsal.restarts import restart_figures

    stage = session.lab
    if stage.measured_from_ms is None:
        return None
    until_ms = stage.measured_until_ms or summary.end_ms
    return restart_figures(summary, stage.measured_from_ms, until_ms, static=stage.settings.static)


def _write_files(
    session: Session, svg: Path | None, timeline: Path | None, say: Callable[[str], None]
) -> None:
    if svg is not None:
        from rota.timeline.svg import draw_svg

        svg.write_text(draw_svg(session.whole(), title=f"rota lab: {session.lab.settings.group}"))
        say(f"The picture is in {svg}.")
    if timeline is not None:
        from rota.timeline.events import to_json

        events = sorted(session.lab.events, key=lambda event: event.at_ms)
        timeline.write_text("".join(to_json(event) + "\n" for event in events))
        say(f"The recording is in {timeline}.")


def _check_writable(path: Path | None) -> None:
    """Find out before the lab, not after it, that its results have nowhere to go."""
    if path is None:
        return
    new = not path.exists()
    try:
        with path.open("ab"):
            pass
        if new:
            path.unlink()  # it comes with the results, should there be any
    except OSError as error:
        raise RotaError(f"cannot write {path}: {error.strerror}", exit_code=2) from None


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def _wrapped(line: str) -> str:
    """On a terminal, a long line broken between words; a file gets it whole."""
    if not sys.stdout.isatty() or len(line) <= _width():
        return line
    import textwrap

    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return "\n".join(textwrap.wrap(line, max(_width(), 20), subsequent_indent=indent))


def _width() -> int:
    import shutil

    return shutil.get_terminal_size((100, 24)).columns


def _flushed(text: str) -> None:
    emit(text)
    sys.stdout.flush()


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
