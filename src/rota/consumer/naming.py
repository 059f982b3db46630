"""Names of options: one that there is not is an error with the nearest one that there is."""

from __future__ import annotations

import difflib
import functools
import inspect
from typing import TYPE_CHECKING, Any, TypeVar

from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

__all__ = ["check_known", "names_checked"]

T = TypeVar("T")


def check_known(
    options: Iterable[str], known: Sequence[str], where: str, elsewhere: Collection[str] = (), whose: str = ""
) -> None:
    """Refuse an option that there is not, and name the nearest one that there is. Those of ``elsewhere`` are
    ``whose``, with the option's name for ``{}``.
    """
    for option in options:
        if option not in known:
            if option in elsewhere:
                raise RotaError(f"{where} has no option {option}: it is {whose.format(option)}")
            close = difflib.get_close_matches(option, known, n=1)
            hint = f"did you mean {close[0]}?" if close else "there are " + ", ".join(known)
            raise RotaError(f"{where} has no option {option}: {hint}")


def names_checked(kind: type[T]) -> type[T]:
    """A class whose options are arguments: `check_known` instead of a TypeError."""
    changed: Any = kind
    init = changed.__init__
    wanted = inspect.signature(kind)
    known = list(wanted.parameters)

    @functools.wraps(init)
    def checked(self: T, *args: Any, **options: Any) -> None:
        check_known(options, known, kind.__name__)
        try:
            wanted.bind(*args, **options)
        except TypeError as error:
            raise RotaError(f"{kind.__name__}: {error}") from None
        init(self, *args, **options)

    changed.__init__ = checked
    return kind
