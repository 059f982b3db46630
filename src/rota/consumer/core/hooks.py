"""Telling handlers of partitions that come and go."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from rota.consumer.failed.traces import exception_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rota.consumer.handlers import Hooks
    from rota.model import TopicPartition

__all__ = ["Hooked"]

log = logging.getLogger("rota.consumer")


class Hooked:
    """``hooks_of``: by topic. Both methods say why the consumer must stop, if a hook has raised."""

    def __init__(self, hooks_of: Callable[[str], Hooks | None] = lambda _topic: None) -> None:
        self._hooks_of = hooks_of

    def assigned(self, partitions: Iterable[TopicPartition]) -> str | None:
        """Before the first record of these is handed out."""
        return self._tell("on_assigned", partitions, lambda hooks, its: hooks.on_assigned(its))

    def revoked(self, partitions: Iterable[TopicPartition], *, lost: bool) -> str | None:
        """After what was done of these is committed; or nothing of it could be."""
        return self._tell("on_revoked", partitions, lambda hooks, its: hooks.on_revoked(its, lost))

    def _tell(
        self,
        name: str,
        partitions: Iterable[TopicPartition],
        call: Callable[[Hooks, Sequence[TopicPartition]], None],
    ) -> str | None:
        by_hooks: dict[int, tuple[Hooks, list[TopicPartition]]] = {}
        for partition in partitions:
            hooks = self._hooks_of(partition.topic)
            if hooks is not None:
                by_hooks.setdefault(id(hooks), (hooks, []))[1].append(partition)
        why = None
        for hooks, its in by_hooks.values():
            try:
                call(hooks, its)
            except BaseException as error:  # the application's own code
                said = f"{type(error).__name__}: {exception_text(error)}".removesuffix(": ")
                why = why or f"{name} of {type(hooks).__name__} raised {said}"
                log.error("%s of %s raised", name, type(hooks).__name__, exc_info=error)
        return why
