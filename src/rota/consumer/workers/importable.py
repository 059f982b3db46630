"""Whether a worker process can have a handler: it imports it by its name."""

from __future__ import annotations

import functools
import pickle
import sys
from types import FunctionType, MethodType
from typing import Any

from rota.consumer.workers.process_wire import MAIN
from rota.model import RotaError

__all__ = ["check_importable", "how_to_load_main"]


def check_importable(function: Any, option: str = 'workers="processes"') -> None:
    """Raises RotaError, which says what to do, for a function that another process cannot import."""
    while isinstance(function, functools.partial):
        function = function.func
    if isinstance(function, FunctionType):
        _check_function(function, option)
        return
    name = _name(function)
    if isinstance(function, MethodType):
        function = function.__self__
    try:
        pickle.dumps(function)
    except Exception as error:
        raise RotaError(
            f"{name} cannot be handed to a process ({option}): {type(error).__name__}: {error}; give a function "
            "that is defined at the top of a module"
        ) from error


def _check_function(function: FunctionType, option: str) -> None:
    name, module = function.__qualname__, function.__module__
    told = f"{module}:{name}"
    if "<lambda>" in name or "<locals>" in name:
        kind = "is a lambda" if "<lambda>" in name else "is defined inside another function"
        raise RotaError(
            f"{told} {kind}, and a process imports its handler by name ({option}): define it at the top of a module"
        )
    if module == "__main__":
        how_to_load_main(told)
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is not function:
        raise RotaError(
            f"{told} is not what that name stands for in its module, and a process imports its handler by name "
            f"({option}): has another decorator been put above @app.handler, or the name been used again?"
        )


def how_to_load_main(told: str = "the handler") -> tuple[str, str]:
    """("module", name) or ("file", path) of the program's main script. Raises RotaError if it has none."""
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return "module", spec.name
    path = getattr(main, "__file__", None)
    if path is None:
        raise RotaError(
            f"{told} was typed in, or read from standard input, and a process cannot import it from there: "
            "put it in a file"
        )
    sys.modules.setdefault(MAIN, main)  # exceptions that are defined there come back under this name
    return "file", path


def _name(function: Any) -> str:
    return getattr(function, "__qualname__", type(function).__qualname__)
