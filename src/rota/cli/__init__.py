"""The command ``rota``: one file per command, each of which parses, calls and prints.

``main`` is where every ending is decided: an error is one line on standard error, Ctrl+C is quiet, and a
closed pipe is no error. Nothing is imported here before it is needed.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click

__all__ = ["main", "run"]

INTERRUPTED = 130


def main() -> None:
    """The entry point of the ``rota`` script."""
    try:
        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command line and give its exit code."""
    from rota.cli.reader import discard_output
    from rota.model import RotaError

    _open_standard_streams()
    try:
        code = _command(arguments)
        sys.stdout.flush()
    except RotaError as error:
        return _failed(str(error), error.exit_code)
    except BrokenPipeError:
        discard_output()  # whoever read it has had enough (`| head`): stop without a word
        return 0
    except OSError as error:  # /dev/full, a full disk
        discard_output()
        return _failed(f"{error.filename or 'cannot go on'}: {error.strerror or error}", 1)
    except Exception as error:
        if os.environ.get("ROTA_DEBUG") or not isinstance(error, _unforeseen()):
            raise
        return _failed(f"{_in_words(error)}; ROTA_DEBUG=1 in the environment shows where", 1)
    return code


def _unforeseen() -> tuple[type[Exception], ...]:
    """What a value that nobody thought of may raise. An ``AssertionError`` is a bug, and is shown as it is."""
    client = sys.modules.get("confluent_kafka")  # nobody else raises its errors
    return (ValueError, OverflowError, MemoryError, *([client.KafkaException] if client is not None else []))


def _in_words(error: Exception) -> str:
    cause = error.args[0] if error.args else ""
    if hasattr(cause, "str"):  # librdkafka's own sentence
        return str(cause.str())
    return f"{type(error).__name__}: {cause}" if cause else type(error).__name__


def _command(arguments: list[str]) -> int:
    """A plain `rota broker` is started at once: whoever starts one for a test waits for it. Click does the rest."""
    if arguments[:1] == ["broker"]:
        from rota.cli import broker_start

        values = broker_start.parse(arguments[1:])
        if values is not None:
            return broker_start.start(**values)
    return _by_click(arguments)


def _by_click(arguments: list[str]) -> int:
    import click

    from rota.cli.root import PipeClosedError, root

    try:
        result = root.main(arguments, prog_name="rota", standalone_mode=False)
    except click.UsageError as error:
        return _usage_error(error)
    except click.ClickException as error:
        return _failed(error.format_message(), error.exit_code)
    except click.Abort:
        return INTERRUPTED
    except PipeClosedError:
        raise BrokenPipeError from None
    return result if isinstance(result, int) else 0


def _usage_error(error: click.UsageError) -> int:
    """One line, and where to read more; a bare ``rota`` or ``rota topics`` gets the help itself."""
    import click

    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return error.exit_code
    where = f" (see `{error.ctx.command_path} --help`)" if error.ctx is not None else ""
    message = " ".join(error.format_message().split()).rstrip(".")
    return _failed(message[:1].lower() + message[1:] + where, error.exit_code)


def _failed(message: str, code: int) -> int:
    from rota.cli.reader import discard_output
    from rota.model import printable

    try:
        sys.stdout.flush()
    except OSError:
        discard_output()
    print("error:", printable(" ".join(message.split())), file=sys.stderr)  # noqa: T201
    return code


def _open_standard_streams() -> None:
    """Whoever closed one (``>&-``) wants nothing there; the next file opened must not take its number."""
    sys.stdout = sys.stdout or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    sys.stderr = sys.stderr or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
