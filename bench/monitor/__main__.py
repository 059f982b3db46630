"""`python -m bench.monitor` (`make bench-monitor`): how fast, how light and how right the monitor is.

`looks` and `growth` compare a look at all groups with Kafka's own tool and with kminion (Go; named with --kminion, or
`kminion` on the PATH; left out where there is none), turn by turn. `idle` weighs `rota exporter`. `shown` provokes
rebalances and reads `rota top`. Prints the figures with their targets, then every sample's median; progress goes to
stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench import machine, report
from bench.monitor.contest import Contest
from bench.monitor.idle import idle
from bench.monitor.looks import growth, looks
from bench.monitor.provoked import shown
from tests.kafka.jars import KafkaMissingError, jars

if TYPE_CHECKING:
    from collections.abc import Callable

CONTESTS: dict[str, tuple[str, Callable[[Contest], None]]] = {
    "looks": ("a look at 500 groups of 100 partitions, beside others", looks),
    "growth": ("5,000 groups beside 500", growth),
    "idle": ("rota exporter where nothing happens", idle),
    "shown": ("200 rebalances, provoked, as rota top shows them", shown),
}


def main() -> None:
    options = _options()
    if options.list:
        for name, (about, _) in CONTESTS.items():
            print(f"{name:8} {about}")
        return
    chosen = list(CONTESTS) if options.only is None else options.only.split(",")
    unknown = [name for name in chosen if name not in CONTESTS]
    if unknown:
        sys.exit(f"bench: no contest is called {', '.join(unknown)}; there are {', '.join(CONTESTS)}")
    try:
        jars()
    except KafkaMissingError as missing:
        sys.exit(f"bench: {missing}")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    brokers = ("rota", "kafka") if options.broker == "both" else (options.broker,)
    rounds = max(1, options.rounds or (1 if options.quick else 3))
    contest = Contest(brokers, rounds, options.quick, options.kminion)
    began = time.monotonic()
    failed = []
    for name in chosen:
        contest.say(f"{name}: {CONTESTS[name][0]}")
        try:
            CONTESTS[name][1](contest)
        except Exception:
            failed.append(name)
            contest.say(f"{name} FAILED:\n{traceback.format_exc()}")
    _tell(contest, time.monotonic() - began, options.json)
    if failed:
        sys.exit(f"bench: {', '.join(failed)} failed, see above")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.monitor", description=__doc__)
    parser.add_argument("--only", metavar="NAME[,NAME]", help="these contests")
    parser.add_argument("--rounds", type=int, help="of three turns each (default 3, with --quick 1)")
    parser.add_argument("--quick", action="store_true", help="fewer groups: a first look")
    parser.add_argument("--list", action="store_true", help="name the contests and end")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    parser.add_argument("--broker", default="both", choices=("both", "rota", "kafka"))
    found = shutil.which("kminion")
    parser.add_argument(
        "--kminion",
        type=Path,
        default=Path(found) if found else None,
        metavar="PROGRAM",
        help="to compare with",
    )
    return parser.parse_args()


def _tell(contest: Contest, elapsed_s: float, file: Path | None) -> None:
    made_on = machine.describe()
    print(machine.sentence(made_on))
    beside = "" if contest.kminion else "; no kminion here: name it with --kminion"
    print(f"{contest.rounds} rounds of 3 turns, {elapsed_s / 60:.1f} minutes{beside}\n")
    if contest.results:
        print("\n".join(report.table(contest.results, ("ours", "other"))))
    if contest.samples:
        print("\nMedians, lowest and highest")
        print("\n".join(contest.table()))
    if file is not None:
        content = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": made_on,
            "rounds": contest.rounds,
            "quick": contest.quick,
            "samples": contest.samples,
            **report.as_json(contest.results, []),
        }
        file.write_text(json.dumps(content, indent=1) + "\n")
        print(f"\nEvery sample: {file}")


if __name__ == "__main__":
    main()
