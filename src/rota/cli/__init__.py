"""The command ``rota``: one file per command, each of which parses, calls and prints.

``main`` is where every ending is decided: an error is one line on standard error, Ctrl+C is quiet, and a
closed pipe is no error. Nothing is imported here before it is needed.
"""

from __future__ import annotations

import os
import sys

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
    import click

    from rota.cli.root import PipeClosedError, root
    from rota.model import RotaError

    try:
        result = root.main(arguments, prog_name="rota", standalone_mode=False)
        sys.stdout.flush()
    except click.UsageError as error:
        return _usage_error(error)
    except click.ClickException as error:
        return _failed(error.format_message(), error.exit_code)
    except click.Abort:
        return INTERRUPTED
    except RotaError as error:
        return _failed(str(error), error.exit_code)
    except (BrokenPipeError, PipeClosedError):
        return _pipe_closed()
    return result if isinstance(result, int) else 0


def _usage_error(error: object) -> int:
    """One line, and where to read more; a bare ``rota`` or ``rota topics`` gets the help itself."""
    import click

    assert isinstance(error, click.UsageError)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return error.exit_code
    where = f" (see `{error.ctx.command_path} --help`)" if error.ctx is not None else ""
    message = " ".join(error.format_message().split()).rstrip(".")
    return _failed(message[:1].lower() + message[1:] + where, error.exit_code)


def _failed(message: str, code: int) -> int:
    sys.stdout.flush()
    print("error:", " ".join(message.split()), file=sys.stderr)  # noqa: T201
    return code


def _pipe_closed() -> int:
    """Whoever read our output has had enough (``| head``): stop without a word, now and at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
