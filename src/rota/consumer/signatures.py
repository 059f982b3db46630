"""What a handler's signature says: whether it is asynchronous, wants a context, one record or many, and of what
type.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, get_args, get_origin, get_type_hints

from rota.consumer.context import Context
from rota.consumer.record import Record, Records
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Signature", "signature"]


class Signature(NamedTuple):
    """``payload``: the T of Record[T]; bytes if nothing is said. ``many``: None if nothing is said."""

    is_async: bool
    takes_context: bool
    payload: Any
    many: bool | None


def signature(function: Callable[..., Any], names: Mapping[str, Any]) -> Signature:
    """``names``: what is visible where the handler is registered, for annotations that are strings."""
    name = getattr(function, "__qualname__", type(function).__name__)
    if not callable(function):
        raise RotaError(f"{function!r} is no function: a handler takes (record) or (record, context)")
    inner = _innermost(function)
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        raise RotaError(f"{name} is a generator: a handler returns when its record is done")
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (ValueError, NameError):  # some built-in functions tell nothing
        return Signature(is_async=False, takes_context=False, payload=bytes, many=None)
    _check_order(parameters, name)
    annotation = parameters[0].annotation if parameters else inspect.Parameter.empty
    payload, many = _payload(annotation, name, {**getattr(inner, "__globals__", {}), **names})
    return Signature(inspect.iscoroutinefunction(inner), _takes_context(parameters, name), payload, many)


def _innermost(function: Callable[..., Any]) -> Any:
    found: Any = function
    while isinstance(found, functools.partial):
        found = found.func
    found = inspect.unwrap(found)
    if not inspect.isroutine(found) and not isinstance(found, type):
        found = type(found).__call__
    return getattr(found, "__func__", found)


def _takes_context(parameters: list[inspect.Parameter], name: str) -> bool:
    kinds = [parameter.kind for parameter in parameters]
    positional = [
        parameter
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    wanted = [parameter for parameter in parameters if parameter.default is parameter.empty]
    wanted = [parameter for parameter in wanted if parameter.kind not in _STARRED]
    takes_any = inspect.Parameter.VAR_POSITIONAL in kinds
    needs_names = any(parameter.kind is parameter.KEYWORD_ONLY for parameter in wanted)
    if needs_names or len(wanted) > 2 or not (positional or takes_any):
        told = ", ".join(map(str, parameters)) or "nothing"
        raise RotaError(f"{name} takes {told}: a handler takes (record) or (record, context)")
    return takes_any or len(positional) > 1


def _check_order(parameters: list[inspect.Parameter], name: str) -> None:
    names = [parameter.name for parameter in parameters[:2]]
    if len(names) == 2 and (names[0] in ("context", "ctx") or names[1] in ("record", "records")):
        first, second = names
        raise RotaError(f"{name} takes ({first}, {second}): the record comes first: ({second}, {first})")


_STARRED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _payload(annotation: Any, name: str, names: Mapping[str, Any]) -> tuple[Any, bool | None]:
    if annotation is inspect.Parameter.empty:
        return bytes, None
    annotation = _evaluated(annotation, name, names)
    if annotation is Any or annotation is object:
        return bytes, None
    origin, arguments = get_origin(annotation) or annotation, get_args(annotation)
    if origin is Record or origin is Records:
        return (arguments[0] if arguments else bytes), origin is Records
    if origin in (Sequence, list) and arguments:
        inside = get_origin(arguments[0]) or arguments[0]
        if inside is Record:
            return (get_args(arguments[0]) or (bytes,))[0], True
    told = getattr(annotation, "__name__", annotation)
    raise RotaError(
        f"the first argument of {name} is annotated {told}: write Record[{told}], or Records[…] for batches"
    )


def _evaluated(annotation: Any, name: str, names: Mapping[str, Any]) -> Any:
    ours = {"Record": Record, "Records": Records, "Context": Context, "Sequence": Sequence}
    holder = SimpleNamespace(__annotations__={"record": annotation})
    try:
        return get_type_hints(holder, {**ours, **names}, include_extras=True)["record"]
    except NameError as error:
        raise RotaError(
            f"{name}: the annotation {annotation!r} cannot be read ({error}): its type must be imported when "
            "the program runs, not under TYPE_CHECKING"
        ) from error
    except (SyntaxError, TypeError, AttributeError) as error:
        raise RotaError(f"{name}: the annotation {annotation!r} cannot be read: {error}") from error
