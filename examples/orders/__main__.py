"""``python -m examples.orders``: the naive loop, scaled from one consumer to two; then the same on `rota.consumer`."""

from __future__ import annotations

import argparse
from importlib.util import find_spec

from examples.ending import run
from examples.orders.account import Account, by_reason, listed
from examples.orders.scene import Kind, Settings, play
from examples.paper import paint

from rota.model import RotaError
from rota.testing import Broker

TITLES: dict[Kind, str] = {
    "naive": "The naive loop (naive.py): auto-commit every 5 s",
    "rota": "The same on rota.consumer (rota_orders.py)",
}


def main() -> int:
    """Run both, or one; the exit code is 1 unless Rota's consumer lost and repeated nothing."""
    parser = argparse.ArgumentParser(prog="python -m examples.orders", description=__doc__)
    parser.add_argument("--only", choices=["naive", "rota"], help="one of both")
    parser.add_argument(
        "--bootstrap-server", metavar="HOST:PORT", help="this Kafka instead of Rota's own broker"
    )
    parser.add_argument(
        "--order", type=float, default=2.5, metavar="SECONDS", help="what one order takes (2.5)"
    )
    parser.add_argument(
        "--orders", type=int, default=6, metavar="N", help="new orders for each partition (6)"
    )
    parser.add_argument(
        "--max-poll-interval",
        type=float,
        default=12.0,
        metavar="SECONDS",
        help="max.poll.interval.ms, in seconds (12; Kafka's default is 300, with 500 orders for one poll)",
    )
    options = parser.parse_args()
    if options.only != "rota" and find_spec("kafka") is None:
        raise RotaError(
            "the naive loop needs kafka-python, which is not installed: pip install kafka-python, or see the "
            "other half alone with --only rota"
        )
    if options.bootstrap_server:
        return _run(options, options.bootstrap_server)
    with Broker(mode="process", prompt_heartbeats=False) as broker:
        return _run(options, broker.bootstrap_servers)


def _run(options: argparse.Namespace, bootstrap: str) -> int:
    settings = Settings(
        bootstrap=bootstrap,
        order_s=options.order,
        new_orders=options.orders,
        max_poll_s=options.max_poll_interval,
        clean=options.bootstrap_server is not None,
    )
    kinds: list[Kind] = [options.only] if options.only else ["naive", "rota"]
    code = 0
    for kind in kinds:
        print(
            paint(f"{TITLES[kind]}, {settings.order_s:g} s for an order, scaled from 1 to 2", "bold"),
            flush=True,
        )
        account = play(kind, settings)
        _tell(account)
        if kind == "rota" and (account.repeats() or account.lost()):
            code = 1
    return code


def _tell(account: Account) -> None:
    repeats = account.repeats()
    print()
    if repeats:
        print(
            paint(
                f"Processed twice: {len({repeat.order for repeat in repeats})} of {len(account.orders)} orders.",
                "red",
            )
        )
    else:
        print(paint(f"Processed twice: none of {len(account.orders)} orders.", "green"))
    for reason, orders in by_reason(repeats).items():
        print(f"  {listed(orders)}: {reason}.")
    lost = account.lost()
    print(f"Lost: {len(lost) or 'none'}.")
    print()


if __name__ == "__main__":
    run(main)
