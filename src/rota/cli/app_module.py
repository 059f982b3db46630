"""From ``module:app`` to the App that is meant; or what is there instead."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import sysconfig
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rota.cli.output import note
from rota.consumer import App
from rota.consumer.failed.traces import exception_name
from rota.model import RotaError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["load_app", "modules"]


def load_app(target: str, directory: Path) -> App:
    """``target``: ``module``, ``module:app`` or ``package.module:thing.app``, found from ``directory`` first. Raises
    RotaError that says what is there.
    """
    name, _, attribute = target.partition(":")
    if name.endswith(".py") or "/" in name:
        dotted = ".".join(Path(name.removesuffix(".py")).parts)
        raise RotaError(f"{name} is a file: name the module, {dotted}:{attribute or 'app'}", exit_code=2)
    if not name or not all(part.isidentifier() for part in name.split(".")):
        raise RotaError(f"expected MODULE:APP, such as shop.orders:app, not {target!r}", exit_code=2)
    module = _imported(name, directory)
    found = _found(module, attribute) if attribute else _only(module)
    if not isinstance(found, App):
        kind = type(found).__name__
        raise RotaError(f"{target} is no App but a {kind}; {_apps_in(module)}", exit_code=2)
    return found


def modules(directory: Path) -> list[str]:
    """Names of modules in a directory and the packages in it."""
    found = [path.stem for path in directory.glob("*.py")]
    for package in directory.glob("*/__init__.py"):
        found.append(package.parent.name)
        found += [f"{package.parent.name}.{path.stem}" for path in package.parent.glob("*.py")]
    found = [name for name in found if "__" not in name]
    return sorted(name for name in found if all(part.isidentifier() for part in name.split(".")))


def _imported(name: str, directory: Path) -> ModuleType:
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise _no_module(name, directory) from None
        raise RotaError(f"{_place(error)}: there is no module {error.name}; is it installed?") from error
    except RotaError as error:
        raise RotaError(f"{_place(error)}: {error}", exit_code=error.exit_code) from error
    except SyntaxError as error:
        raise RotaError(f"{_shown(error.filename)} line {error.lineno}: {error.msg}") from error
    except Exception as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _ours(frame.filename)]
        note("Traceback (most recent call last):", *"".join(traceback.format_list(frames)).splitlines())
        said = f"{exception_name(error)}: {error}".removesuffix(": ")
        raise RotaError(f"{_place(error)}: {said}") from error


def _no_module(name: str, directory: Path) -> RotaError:
    there = modules(directory)
    close = difflib.get_close_matches(name, there, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(there[:10]) or 'no modules'}"
    return RotaError(f"there is no module {name} in {directory}: {hint}", exit_code=2)


def _found(module: ModuleType, attribute: str) -> Any:
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            names = [name for name in vars(found) if not name.startswith("_")] if found is module else []
            close = difflib.get_close_matches(part, names, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise RotaError(
                f"{module.__name__} has no {attribute}: {hint}{_apps_in(module)}", exit_code=2
            ) from None
        found = getattr(found, part)
    return found


def _only(module: ModuleType) -> Any:
    apps = _apps(module)
    if len(apps) == 1:
        return getattr(module, apps[0])
    raise RotaError(f"{module.__name__} alone does not say which App: {_apps_in(module)}", exit_code=2)


def _apps(module: ModuleType) -> list[str]:
    return [name for name, value in vars(module).items() if isinstance(value, App)]


def _apps_in(module: ModuleType) -> str:
    apps = [f"{module.__name__}:{name}" for name in _apps(module)]
    return f"there is {' and '.join(apps)}" if apps else f"there is no App in {module.__name__}"


def _place(error: BaseException) -> str:
    """The innermost line of the application that led to it."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not _ours(frame.filename) and not _of_others(frame.filename):
            return f"{_shown(frame.filename)} line {frame.lineno}"
    return "importing it"


def _ours(filename: str) -> bool:
    ours = str(Path(__file__).parents[1]) + os.sep
    return filename.startswith((ours, "<frozen importlib")) or filename == str(Path(importlib.__file__))


def _of_others(filename: str) -> bool:
    """Whether it is a library, Python's own or another, or code that has no file, as a dataclass makes it."""
    library = sysconfig.get_path("stdlib") + os.sep
    return "site-packages" in filename or filename.startswith(("<", library))


def _shown(filename: str | None) -> str:
    path = Path(filename or "?")
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
