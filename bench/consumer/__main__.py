"""`python -m bench.consumer` (`make bench-consumer`): `rota.consumer` beside bare loops and frameworks, on one broker.

Rounds are interleaved, every contestant is a process of its own, frameworks live in virtual environments that are
made on first use (~/.cache/rota-bench). Prints two tables, the figures with their targets and every contestant by
itself; progress goes to stderr.
"""

from __future__ import annotations

import platform
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import machine, report, running
from bench.consumer import going, memory, nothing, waiting
from bench.consumer.contest import Contest
from bench.servers import new_server

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

CONTESTS: dict[str, tuple[str, Callable[[Contest], None]]] = {
    "nothing": ("a handler that does nothing, records of 100 B", nothing.run),
    "waiting": ("a handler that waits for 5 ms", waiting.run),
    "sigterm": ("SIGTERM to one of two members under load", going.run_term),
    "kill": ("kill -9 of one of two members under load", going.run_kill),
    "ten-million": ("memory over ten million records", memory.run_ten_million),
    "stuck": ("memory and rate while one record is stuck", memory.run_stuck),
}


def main() -> None:
    options = _options()
    if options.list:
        running.show_list({name: about for name, (about, _) in CONTESTS.items()})
        return
    chosen = running.choose(options.only, CONTESTS, "contest")
    running.use_bytecode()
    began = time.monotonic()
    with _broker(options.broker) as bootstrap:
        rounds = running.rounds_of(options)
        contest = Contest(bootstrap, rounds=rounds, quick=options.quick, bare=options.bare)
        things = {name: (CONTESTS[name][0], partial(CONTESTS[name][1], contest)) for name in chosen}
        failed = running.run_each(things, contest.say)
    _tell(contest, options.broker, time.monotonic() - began, options.json)
    running.end(failed)


def _options() -> argparse.Namespace:
    parser = running.options_of(
        "python -m bench.consumer",
        __doc__,
        "contests",
        rounds="default 3, with --quick 1",
        quick="fewer records: a first look",
    )
    parser.add_argument("--bare", action="store_true", help="Rota and bare loops: nothing is installed")
    parser.add_argument(
        "--broker", default="rota", metavar="rota|kafka|HOST:PORT", help="started for it, or one that runs"
    )
    return parser.parse_args()


@contextmanager
def _broker(wanted: str) -> Iterator[str]:
    if wanted not in {"rota", "kafka"}:
        yield wanted
        return
    with tempfile.TemporaryDirectory(prefix="rota-bench-") as scratch:
        server = new_server(wanted, Path(scratch))
        server.start()
        try:
            yield server.bootstrap_servers
        finally:
            server.stop()


def _tell(contest: Contest, broker: str, elapsed_s: float, file: Path | None) -> None:
    made_on = machine.describe()
    print(
        f"{made_on['cores']} cores of {made_on['processor']}, {made_on['ram_gib']} GiB, {made_on['kernel']}; "
        f"Python {platform.python_version()}; Rota at {made_on['rota']}; broker: {broker}"
    )
    for peer, versions in sorted(contest.versions.items()):
        print(f"{peer}: {', '.join(f'{name} {number}' for name, number in versions.items())}")
    print(f"{contest.rounds} rounds, {elapsed_s / 60:.1f} minutes{', quick' if contest.quick else ''}\n")
    print("\n".join(report.table(contest.results, ("Rota", "peer"))))
    print()
    print("\n".join(_long_table(contest)))
    running.write(
        file,
        machine=made_on,
        broker=broker,
        rounds=contest.rounds,
        quick=contest.quick,
        versions=contest.versions,
        figures=report.as_json(contest.results, [])["figures"],
        contestants=[
            {"contest": each.contest, "name": each.contestant.name, "samples": each.samples}
            for each in contest.entries.values()
        ],
    )


_COLUMNS: dict[str, tuple[str, str]] = {
    "per_s": ("records/s", "{:,.0f}"),
    "cpu": ("CPU s/100k", "{:.3f}"),
    "rss": ("RSS MiB", "{:.0f}"),
    "overlaps": ("overlaps", "{:.0f}"),
    "disorder": ("disorder", "{:.0f}"),
    "lost": ("lost", "{:.0f}"),
    "repeated": ("repeated", "{:,.0f}"),
    "stall": ("stall s", "{:.2f}"),
}


def _long_table(contest: Contest) -> list[str]:
    """Every contestant by itself: medians."""
    lines: list[str] = []
    for name in dict.fromkeys(entry.contest for entry in contest.entries.values()):
        entries = [entry for entry in contest.entries.values() if entry.contest == name]
        columns = [key for key in _COLUMNS if any(key in entry.samples for entry in entries)]
        lines.append(f"{name:40} {'guarantee':32}" + "".join(f"{_COLUMNS[key][0]:>12}" for key in columns))
        for entry in entries:
            cells = [_cell(entry.median(key), _COLUMNS[key][1]) for key in columns]
            row = f"{entry.contestant.name:40} {entry.contestant.guarantee:32}"
            lines.append(row + "".join(f"{cell:>12}" for cell in cells))
        lines.append("")
    return lines


def _cell(value: float | None, layout: str) -> Any:
    return "–" if value is None else layout.format(value)


if __name__ == "__main__":
    main()
