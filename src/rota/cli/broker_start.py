"""What ``rota broker`` takes and does, without click, so that the ordinary command line starts without it.

``OPTIONS`` is the only list of the options. ``rota.cli.broker`` makes click's command of it; ``parse`` reads those
command lines that leave no question, and leaves every other (help, mistakes, anything unusual) to click.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rota.cli.key_values import key_values
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.broker import BrokerOptions

__all__ = ["LEVELS", "OPTIONS", "Option", "parse", "start"]

LEVELS: Final = ("debug", "info", "warning", "error")


class Option(NamedTuple):
    """One option. ``kind`` is flag, text, texts (may be repeated), port, level, directory or file."""

    name: str
    kind: str
    parameter: str
    help: str
    metavar: str | None = None
    default: Any = None
    short: str | None = None
    hidden: bool = False


OPTIONS: Final = (
    Option("--host", "text", "host", "Where to listen.", "ADDRESS", "127.0.0.1"),
    Option("--port", "port", "port", "The port; 0 takes a free one, which the ready line names.", "N", 9092),
    Option("--data", "directory", "data_dir", "Keep everything in DIR, and go on from what is there.", "DIR"),
    Option("--memory", "flag", "memory", "Keep everything in memory (the default): gone when it stops."),
    Option("--config", "texts", "configs", "A broker setting; may be repeated.", "K=V"),
    Option("--config-file", "file", "config_file", "Broker settings, one k=v a line; --config wins.", "FILE"),
    Option(
        "--advertised", "text", "advertised", "The address that clients are told to connect to.", "HOST:PORT"
    ),
    Option("--insecure", "flag", "insecure", "Let --host be reachable from other machines without a login."),
    Option(
        "--timeline", "file", "timeline", "Append what happens in the groups to FILE, as JSON lines.", "FILE"
    ),
    Option(
        "--prompt-heartbeats",
        "flag",
        "prompt_heartbeats",
        "Tell members of a rebalance at once, not at their next heartbeat as Kafka does.",
    ),
    Option("--log-level", "level", "log_level", "How much to say on standard error.", default="info"),
    Option("--stop-with-stdin", "flag", "stop_with_stdin", "Stop when standard input ends.", hidden=True),
    Option("--quiet", "flag", "quiet", "Say nothing but errors, as --log-level error.", short="-q"),
)


def parse(words: Sequence[str]) -> dict[str, Any] | None:
    """The parameters that click would find in ``words``; None where click has to say what they mean."""
    by_name = {option.name: option for option in OPTIONS} | {o.short: o for o in OPTIONS if o.short}
    found = {option.parameter: _default(option) for option in OPTIONS}
    rest = iter(words)
    for word in rest:
        name, equals, text = word.partition("=")
        option = by_name.get(name)
        if option is None:
            return None
        if option.kind == "flag":
            if equals:
                return None
            found[option.parameter] = True
            continue
        value = _value(option.kind, text if equals else next(rest, ""))
        if value is None:
            return None
        found[option.parameter] = (*found[option.parameter], value) if option.kind == "texts" else value
    return found


def _default(option: Option) -> Any:
    return {"flag": False, "texts": ()}.get(option.kind, option.default)


def _value(kind: str, text: str) -> str | int | Path | None:
    """A plain value; None for one that is wrong, or may be."""
    if not text or text.startswith("-"):
        return None
    match kind:
        case "port":
            plain = text.isascii() and text.isdecimal() and len(text) <= 5
            return int(text) if plain and int(text) <= 65535 else None
        case "level":
            return text if text in LEVELS else None
        case "directory" | "file":
            isdir = os.path.isdir(text)  # noqa: PTH112 - pathlib's raises where it cannot look
            if os.path.exists(text) and (isdir is (kind == "file") or not os.access(text, os.R_OK)):  # noqa: PTH110
                return None
            return Path(text)
        case _:
            return text


def start(
    *,
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
    """Run a broker until it is told to stop; the exit code. Raises ``RotaError``."""
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
