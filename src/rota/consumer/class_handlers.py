"""A handler as a class: state of its own, and hooks for partitions that come and go."""

from __future__ import annotations

import difflib
import inspect
from typing import TYPE_CHECKING, Any, ClassVar

from rota.consumer.handlers import OPTIONS, HandlerOptions
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.model import TopicPartition

__all__ = ["Handler", "has_hooks", "options_of", "topics_of"]


class Handler:
    """What ``app.add(Loader())`` takes: the options of ``@app.handler`` as class attributes, and a ``process``.

    class Loader(Handler):
        topics = "events"
        batch = Batch(most=500)

        def process(self, records: Records[Event], context: Context) -> None: ...

    ``process`` may be ``async def``, and may take no context. It is called by workers, several at a time; the
    hooks are called by the thread that talks to Kafka and hold up everything else, so let them be quick.
    What they raise stops the consumer.
    """

    topics: ClassVar[str | Sequence[str]] = ()

    def on_assigned(self, partitions: Sequence[TopicPartition], /) -> None:
        """These came, before the first of their records is processed."""

    process: Any
    """(record, context), or (records, context) if there is a ``batch``."""

    def on_revoked(self, partitions: Sequence[TopicPartition], lost: bool, /) -> None:
        """These went, after what had begun was finished and committed. ``lost``: they are somebody else's
        already, and nothing was committed.
        """


def topics_of(handler: Handler) -> tuple[str, ...]:
    topics = handler.topics
    return (topics,) if isinstance(topics, str) else tuple(topics)


def options_of(handler: Handler) -> HandlerOptions:
    """Its class attributes; a name that is nearly an option, or a hook, is taken for a slip of the pen."""
    kind = type(handler)
    found: dict[str, Any] = {}
    for option in OPTIONS:
        given = inspect.getattr_static(handler, option, None)
        found[option] = given.__func__ if isinstance(given, staticmethod) else given
    own = {name for each in kind.__mro__[:-1] if each is not Handler for name in vars(each)}
    known = (*OPTIONS, "topics", "process", "on_assigned", "on_revoked")
    for name in sorted(own - {*known}):
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.87)
        if close and name != f"{close[0]}s" and not name.startswith("_"):
            raise RotaError(f"{kind.__name__}.{name}: did you mean {close[0]}?")
    return found  # type: ignore[return-value]  # made of OPTIONS


def has_hooks(handler: Handler) -> bool:
    """Whether it wants to know of partitions. A hook that cannot be called is a RotaError."""
    kind = type(handler)
    for name, arguments in (("on_assigned", ([],)), ("on_revoked", ([], False))):
        hook = getattr(handler, name)
        if inspect.iscoroutinefunction(hook):
            raise RotaError(
                f"{kind.__name__}.{name} is async: hooks are called by the thread that talks to Kafka, which waits "
                "for them; make it a plain function"
            )
        try:
            inspect.signature(hook).bind(*arguments)
        except TypeError as error:
            wanted = "(self, partitions)" if name == "on_assigned" else "(self, partitions, lost)"
            raise RotaError(f"{kind.__name__}.{name} takes {wanted}: {error}") from error
    return kind.on_assigned is not Handler.on_assigned or kind.on_revoked is not Handler.on_revoked
