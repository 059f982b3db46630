"""``python -m examples.notifications``: pods that come, go, die and freeze; no e-mail is lost, none sent twice."""

from __future__ import annotations

import argparse
import os
import random
import uuid
from importlib.util import find_spec

from examples.ending import run
from examples.notifications.account import lines
from examples.notifications.scene import Settings, play
from examples.paper import paint

from rota.model import RotaError
from rota.testing import Broker


def main() -> int:
    """Run it; the exit code is 1 if a notification was lost or sent twice."""
    parser = argparse.ArgumentParser(prog="python -m examples.notifications", description=__doc__)
    parser.add_argument(
        "--bootstrap-server", metavar="HOST:PORT", help="this Kafka instead of Rota's own broker"
    )
    parser.add_argument("--email", type=float, default=500, metavar="MS", help="what an e-mail takes (500)")
    parser.add_argument("--rate", type=float, default=15, metavar="N", help="notifications a second (15)")
    parser.add_argument(
        "--session-timeout", type=float, default=6, metavar="SECONDS", help="of the group (6)"
    )
    parser.add_argument("--ledger", metavar="ADDRESS", help="postgresql://…, instead of an SQLite file")
    parser.add_argument("--seed", type=int, help="chooses who is killed and frozen, and when")
    options = parser.parse_args()
    if find_spec("aiosmtpd") is None:
        raise RotaError("the mail server needs aiosmtpd, which is not installed: pip install aiosmtpd")
    seed = random.randrange(10_000) if options.seed is None else options.seed
    if options.bootstrap_server:
        return _run(options, options.bootstrap_server, seed)
    configs = {"group.min.session.timeout.ms": 1000}
    with Broker(configs, mode="process", prompt_heartbeats=False) as broker:
        return _run(options, broker.bootstrap_servers, seed)


def _run(options: argparse.Namespace, bootstrap: str, seed: int) -> int:
    settings = Settings(
        bootstrap=bootstrap,
        topic=f"notifications-{os.getpid()}-{uuid.uuid4().hex[:6]}",
        email_s=options.email / 1000,
        rate=options.rate,
        session_s=options.session_timeout,
        ledger=options.ledger,
        seed=seed,
        clean=options.bootstrap_server is not None,
    )
    account, paper = play(settings)
    print()
    for line in lines(account, paper.began_ms):
        print(line)
    print()
    failed = bool(account.lost or account.twice)
    print(paint("NOT as promised.", "red") if failed else paint("0 lost, 0 sent twice.", "green"))
    return 1 if failed else 0


if __name__ == "__main__":
    run(main)
