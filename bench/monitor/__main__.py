"""`python -m bench.monitor` (`make bench-monitor`): how fast, how light and how right the monitor is.

`looks` and `growth` compare a look at all groups with Kafka's own tool and with kminion (Go; named with --kminion, or
`kminion` on the PATH; left out where there is none), turn by turn. `idle` weighs `rota exporter`. `shown` provokes
rebalances and reads `rota top`. Prints the figures with their targets, then every sample's median; progress goes to
stderr.
"""

from __future__ import annotations

import shutil
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench import machine, report, running
from bench.monitor.contest import Contest
from bench.monitor.idle import idle
from bench.monitor.looks import growth, looks
from bench.monitor.provoked import shown

if TYPE_CHECKING:
    import argparse
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
        running.show_list({name: about for name, (about, _) in CONTESTS.items()})
        return
    chosen = running.choose(options.only, CONTESTS, "contest")
    running.need_kafka()
    brokers = ("rota", "kafka") if options.broker == "both" else (options.broker,)
    contest = Contest(brokers, running.rounds_of(options), options.quick, options.kminion)
    running.use_bytecode()
    began = time.monotonic()
    things = {name: (CONTESTS[name][0], partial(CONTESTS[name][1], contest)) for name in chosen}
    failed = running.run_each(things, contest.say)
    _tell(contest, time.monotonic() - began, options.json)
    running.end(failed)


def _options() -> argparse.Namespace:
    parser = running.options_of(
        "python -m bench.monitor",
        __doc__,
        "contests",
        rounds="of three turns each (default 3, with --quick 1)",
        quick="fewer groups: a first look",
    )
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
    running.write(
        file,
        machine=made_on,
        rounds=contest.rounds,
        quick=contest.quick,
        samples=contest.samples,
        **report.as_json(contest.results, []),
    )


if __name__ == "__main__":
    main()
