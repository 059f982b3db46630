"""What a worker process needs to make a handler's work anew: closures cannot cross, names and values can."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rota.consumer.context import Context, Effects
from rota.consumer.specs import decoding
from rota.consumer.workers.importable import check_importable
from rota.consumer.workers.runners import each, in_batches

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rota.consumer.core.work import Task
    from rota.consumer.handlers import HandlerSpec
    from rota.consumer.workers.process_child import Asking

__all__ = ["Recipe", "recipe_of"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Picklable; called in the child. The annotations of ``source`` are read there once more."""

    source: Callable[..., Any]
    value: Any
    key: Any
    batch: bool
    group: str
    retry_topics: tuple[str, ...]

    def __call__(self, asking: Asking) -> Callable[[Task], None]:
        decode, function = decoding(self.source, {}, value=self.value, key=self.key, many=self.batch)
        runner = in_batches if self.batch else each
        return runner(function, decode, self._context(asking), retry_topics=self.retry_topics)

    def _context(self, asking: Asking) -> Callable[[Task], Context]:
        ours: Any = asking  # it owns, and is not asked to add
        effects = Effects(self.group, batch=self.batch, committed=asking.committed)
        return lambda task: Context(ours, task, effects)


def recipe_of(spec: HandlerSpec, group: str, retry_topics: Sequence[str]) -> Recipe:
    """Raises RotaError if another process could not import the handler."""
    check_importable(spec.source)
    return Recipe(spec.source, spec.value, spec.key, spec.batch is not None, group, tuple(retry_topics))
