"""Tracebacks as text, quickly.

`traceback` looks for each frame whether its file has changed, and compiles its line for the carets below it: half a
millisecond a failure, on the one thread that serves the consumer, when everything fails at once.
"""

from __future__ import annotations

import linecache
import sys
import traceback
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["exception_name", "exception_text", "trace_of"]

_FRAMES = 40
"""Of a deep stack the innermost ones."""
_EXCEPTIONS = 20
"""Of a long chain of causes the last ones."""

_PUBLIC = ("asyncio", "rota.consumer")

_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"


def exception_name(failure: BaseException) -> str:
    """``ValueError``, ``requests.exceptions.Timeout``; of asyncio's and Rota's own the name that is public, which does
    not change when a class moves: ``asyncio.CancelledError``.
    """
    kind = type(failure)
    for package in _PUBLIC:
        public = getattr(sys.modules.get(package), kind.__qualname__, None)
        if public is kind and kind.__module__.startswith(f"{package}."):
            return f"{package}.{kind.__qualname__}"
    return _python_name(kind)


def _python_name(kind: type[BaseException]) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def exception_text(failure: BaseException) -> str:
    """Its message; also of one that cannot tell it."""
    try:
        return str(failure)
    except Exception as broken:  # somebody else's __str__
        return f"<its message cannot be shown: {type(broken).__name__}>"


def trace_of(failure: BaseException) -> str:
    """Where it was raised, with its causes, as Python shows it but for the carets."""
    parts: list[str] = []
    for exception, connection in _chain(failure):
        if isinstance(exception, BaseExceptionGroup):
            return "".join(traceback.format_exception(failure, limit=-_FRAMES))
        parts.append(_one(exception) + connection)
    return "".join(reversed(parts))


def _chain(failure: BaseException) -> Iterator[tuple[BaseException, str]]:
    """The failure and what it came from, each with the words that lead from it to the one before."""
    seen: set[int] = set()
    exception: BaseException | None = failure
    connection = ""
    while exception is not None and id(exception) not in seen and len(seen) < _EXCEPTIONS:
        seen.add(id(exception))
        yield exception, connection
        if exception.__cause__ is not None:
            exception, connection = exception.__cause__, _CAUSE
        elif exception.__context__ is not None and not exception.__suppress_context__:
            exception, connection = exception.__context__, _CONTEXT
        else:
            return


def _one(exception: BaseException) -> str:
    frames: deque[tuple[str, int, str]] = deque(maxlen=_FRAMES)
    at = exception.__traceback__
    while at is not None:
        code = at.tb_frame.f_code
        frames.append((code.co_filename, at.tb_lineno, code.co_name))
        at = at.tb_next
    lines = ["Traceback (most recent call last):\n"] if frames else []
    for filename, number, name in frames:
        lines.append(f'  File "{filename}", line {number}, in {name}\n')
        source = linecache.getline(filename, number).strip()
        if source:
            lines.append(f"    {source}\n")
    text = exception_text(exception)
    kind = _python_name(type(exception))
    lines.append(f"{kind}: {text}\n" if text else f"{kind}\n")
    notes = getattr(exception, "__notes__", ())
    lines += (f"{note}\n" for note in notes if isinstance(note, str)) if isinstance(notes, list) else ()
    return "".join(lines)
