"""``rota broker``: options in, a running broker out. Imports nothing that a broker does not need."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rota.cli.options import key_values
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.broker import BrokerOptions

__all__ = ["broker"]

LEVELS = ("debug", "info", "warning", "error")


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where to listen.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=9092,
    show_default=True,
    metavar="N",
    help="The port; 0 takes a free one, which the ready line names.",
)
@click.option(
    "--data",
    "data_dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Keep everything in DIR, and go on from what is there.",
)
@click.option("--memory", is_flag=True, help="Keep everything in memory (the default): gone when it stops.")
@click.option("--config", "configs", multiple=True, metavar="K=V", help="A broker setting; may be repeated.")
@click.option(
    "--config-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Broker settings, one k=v a line; --config wins.",
)
@click.option("--advertised", metavar="HOST:PORT", help="The address that clients are told to connect to.")
@click.option("--insecure", is_flag=True, help="Let --host be reachable from other machines without a login.")
@click.option(
    "--timeline",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Append what happens in the groups to FILE, as JSON lines.",
)
@click.option(
    "--prompt-heartbeats",
    is_flag=True,
    help="Tell members of a rebalance at once, not at their next heartbeat as Kafka does.",
)
@click.option(
    "--log-level",
    type=click.Choice(LEVELS, case_sensitive=False),
    default="info",
    show_default=True,
    help="How much to say on standard error.",
)
@click.option("--stop-with-stdin", is_flag=True, hidden=True, help="Stop when standard input ends.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors, as --log-level error.")
def broker(
    host: str,
    port: int,
    data_dir: Path | None,
    memory: bool,
    configs: Sequence[str],
    config_file: Path | None,
    advertised: str | None,
    insecure: bool,
    timeline: Path | None,
    prompt_heartbeats: bool,
    log_level: str,
    stop_with_stdin: bool,
    quiet: bool,
) -> int:
    """Run a Kafka-compatible broker until Ctrl+C.

    It is one node for laptops, tests and lessons: no JVM, no container, and any Kafka client connects to it.
    Settings have Kafka's names and defaults. When it is ready it prints one line with its address.

    \b
    Examples:
      rota broker
      rota broker --data ./kafka-data --port 9093
      rota broker --port 0 --memory --config group.initial.rebalance.delay.ms=0
    """
    if memory and data_dir is not None:
        raise RotaError("--memory and --data exclude each other", exit_code=2)
    from rota.broker import BrokerOptions, run

    settings: dict[str, str] = {}
    if config_file is not None:
        from rota.properties_file import read_properties

        settings = read_properties(config_file)
    settings |= key_values(configs, "--config")
    logging.basicConfig(
        stream=sys.stderr,
        level=(logging.ERROR if quiet else logging.getLevelName(log_level.upper())),
        format="%(asctime)s %(levelname)s %(message)s",
    )
    options = BrokerOptions(
        host=host,
        port=port,
        data_dir=data_dir,
        configs=settings,
        advertised=None if advertised is None else _address(advertised),
        insecure=insecure,
        timeline=timeline,
        prompt_heartbeats=prompt_heartbeats,
    )
    if stop_with_stdin:
        _stop_with_stdin()
    try:
        return run(options)
    except RotaError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.filename is not None:  # no broker can use that directory
            error.exit_code = 2
        raise
    except OSError as error:
        raise _failure(error, options) from None


def _stop_with_stdin() -> None:
    """A broker that a program started for itself: the pipe that it holds ends with it, however it ends."""
    import os
    import signal
    import threading

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="stdin", daemon=True).start()


def _address(text: str) -> tuple[str, int]:
    """``host:port`` taken apart; an IPv6 address stands in brackets."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) <= 65535:
        raise RotaError(f"--advertised wants HOST:PORT, not {text!r}", exit_code=2)
    return host.removeprefix("[").removesuffix("]"), int(port)


def _failure(error: OSError, options: BrokerOptions) -> RotaError:
    """What the operating system refused, and when: before there was a broker, or when it was to end."""
    import errno
    import traceback

    from rota.broker.node import Node

    host, port, what = options.host, options.port, error.strerror or str(error)
    if error.errno == errno.EADDRINUSE:
        return RotaError(
            f"port {port} on {host} is in use already; stop what listens there or choose another --port"
        )
    if options.timeline is not None and error.filename == str(options.timeline):
        return RotaError(f"cannot write {options.timeline}: {what}", exit_code=2)
    codes = {frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)}
    if Node.close.__code__ in codes:
        where = error.filename or options.data_dir
        return RotaError(
            f"the broker has ended, but could not store everything: {where}: {what}; "
            "make room, and the next start will check the logs"
        )
    return RotaError(f"could not start the broker: {error.filename or f'{host}:{port}'}: {what}")
