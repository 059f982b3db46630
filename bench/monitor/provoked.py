"""200 rebalances of every kind and protocol, provoked on both brokers, as `rota top` shows them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.frame import Figure
from bench.monitor.provoke import KINDS, PROTOCOLS
from bench.monitor.shown import LIMIT_S, Shown, measure
from tests.brokers import new_broker

if TYPE_CHECKING:
    from bench.monitor.contest import Contest

__all__ = ["shown"]

REBALANCES = 200
SHARE_SOON, SHARE_RIGHT = 1.0, 0.95


def shown(contest: Contest) -> None:
    """How many were shown in time, and with the right cause."""
    a_round = len(KINDS) * len(PROTOCOLS)
    rounds = contest.count(-(-REBALANCES // (a_round * len(contest.brokers))), 1)
    found: list[Shown] = []
    for kind in contest.brokers:
        with (
            tempfile.TemporaryDirectory() as directory,
            new_broker(kind, Path(directory) / "data") as broker,
        ):
            log: Path = broker.log_file  # type: ignore[attr-defined]
            for protocol in PROTOCOLS:
                for each in measure(broker, log, protocol, list(KINDS), rounds):
                    found.append(each)
                    delay = "never" if each.delay_s is None else f"{each.delay_s:.2f} s"
                    mark = "" if each.right else "   WRONG"
                    contest.say(
                        f"  {kind} {each.protocol:<12} {each.kind:<13} {delay:>7}  {each.cause}{mark}"
                    )
    soon = sum(each.delay_s is not None and each.delay_s <= LIMIT_S for each in found) / len(found)
    right = sum(each.right for each in found) / len(found)
    name = f"{len(found)} rebalances in rota top"
    contest.add(Figure(f"{name}: shown within {LIMIT_S:g} s", "share", None, least=SHARE_SOON), [soon])
    contest.add(Figure(f"{name}: right cause", "share", None, least=SHARE_RIGHT), [right])
