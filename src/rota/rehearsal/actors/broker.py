"""The lab's broker: Rota's own, in a process that ends with its director.

``python -m rota.rehearsal.actors.broker --data DIR --timeline FILE --config name=value …`` listens on a free port
of the loopback interface, prints the same line as ``rota broker`` when it is ready, and stops, as at SIGTERM, when
its standard input ends.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING

from rota.broker import BrokerOptions, run
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """The program; exits 1 with one line on standard error when the broker cannot start."""
    parser = argparse.ArgumentParser(description="The broker of Rota's lab.")
    parser.add_argument("--data", type=Path, required=True, help="data directory")
    parser.add_argument("--timeline", type=Path, required=True, help="file to record into")
    parser.add_argument("--config", action="append", default=[], help="a broker setting, name=value")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    configs = dict(pair.split("=", 1) for pair in options.config)
    threading.Thread(target=_end_with, args=(sys.stdin,), name="director", daemon=True).start()
    try:
        code = run(BrokerOptions(port=0, data_dir=options.data, configs=configs, timeline=options.timeline))
    except RotaError as error:
        sys.exit(str(error))
    sys.exit(code)


def _end_with(lines: IO[str]) -> None:
    for _ in lines:
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
