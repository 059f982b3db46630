"""``rota run``: the handlers of a module, until a signal. (Not ``run.py``: that name is a function's here.)"""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from rota.cli.key_values import key_values
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.consumer import App

__all__ = ["run_app"]

_OURS = ("rota-start", "rota-owner", "rota-close", "rota-client-call")
"""Threads that can be left behind in a call of the client."""


def _complete(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from rota.cli.app_module import modules

    return [CompletionItem(name) for name in modules(Path.cwd()) if name.startswith(incomplete)]


@click.command("run")
@click.argument("target", metavar="MODULE:APP", shell_complete=_complete)
@click.option("--reload", is_flag=True, help="Restart whenever a .py file below this directory changes.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="K=V",
    help="A client property that wins over the app's own; may be repeated.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Answer /health/live, /health/ready, /metrics and /state here; 0: any free port.",
)
@click.option(
    "--host",
    metavar="HOST",
    help="The address for --port.  [default: the app's, or 127.0.0.1]",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="debug: what the Kafka client says too.",
)
def run_app(
    target: str, reload: bool, settings: Sequence[str], port: int | None, host: str | None, log_level: str
) -> int:
    """Run the handlers of an App until Ctrl+C or SIGTERM.

    MODULE:APP is the variable APP in a module that is found from this directory; without :APP, the only App
    in it. The first signal lets handlers finish what they have begun, commits and leaves the group; a
    second one ends at once. Where no broker answers it says so and goes on trying.

    \b
    The file shop.py:
      from rota.consumer import App
      app = App({"bootstrap.servers": "127.0.0.1:9092", "group.id": "billing"})

    \b
      @app.handler("orders")
      def handle(record):
          print(record.key, record.value)  # returning means done, raising that it failed

    \b
    Examples:
      rota run shop:app
      rota run shop:app --reload --log-level debug
      rota run shop:app --port 8080
      rota run shop --set bootstrap.servers=kafka:9092 --set group.id=billing-test

    Exit codes: 0 after a signal, 1 if the consumer ended by itself or could not commit at the end, 2 wrong usage,
    such as a client property that cannot be.
    """
    overrides = key_values(settings, "--set")
    if reload:
        _log_to_stderr(log_level)
        return _reloading(_command(target, settings, port=port, host=host, log_level=log_level))
    from rota.cli.app_module import load_app

    app = load_app(target, Path.cwd())
    app.override(overrides, port=port, host=host)
    _log_to_stderr(log_level)
    return _run(app)


def _reloading(command: Sequence[str]) -> int:
    from rota.consumer.reload import Reloader

    return Reloader(command, Path.cwd()).run()


def _run(app: App) -> int:
    from rota.consumer.reload import PARENT
    from rota.consumer.running import StopSignals

    parent = int(os.environ.get(PARENT, "0"))
    for stream in (
        sys.stdout,
        sys.stderr,
    ):  # what handlers print is seen at once, in a file and a container too
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    try:
        with StopSignals() as signals:
            signals.run(app.start, lambda: bool(parent) and os.getppid() != parent)
    except RotaError as error:
        if not _left_behind():
            raise
        _end_at_once(f"error: {error}", error.exit_code)
    except KeyboardInterrupt:  # the second Ctrl+C
        _end_at_once("ended at once; what was not committed comes again", 130)
    if _left_behind():
        _end_at_once("", 0)
    return 0


def _left_behind() -> bool:
    """Whether the client still hangs in a call; an ordinary end of the process would wait for it."""
    return any(thread.name in _OURS for thread in threading.enumerate())


def _end_at_once(words: str, code: int) -> None:
    if words:
        sys.stderr.write(words + "\n")
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _log_to_stderr(level: str) -> None:
    """If the application has not said where its log goes."""
    logging.basicConfig(
        level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )


def _command(target: str, settings: Sequence[str], **options: object) -> list[str]:
    """The same again, without --reload."""
    words = [sys.executable, "-m", "rota", "run", target]
    for setting in settings:
        words += ["--set", setting]
    for name, value in options.items():
        words += [] if value is None else [f"--{name.replace('_', '-')}", str(value)]
    return words
