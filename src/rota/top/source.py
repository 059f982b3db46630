"""What `rota top` needs of whoever looks at the cluster, and of whoever may change it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.model import RotaError, TopicPartition
    from rota.monitor.view import GroupView

__all__ = ["Changes", "Done", "Preview", "Source"]


class Source(Protocol):
    """`rota.watching.live.Live` is one."""

    @property
    def failure(self) -> RotaError | None:
        """Why the last look found nothing, or not all; None if all is well."""

    @property
    def is_away(self) -> bool:
        """Whether the last look found nothing at all."""

    def views(self) -> Mapping[str, GroupView]:
        """The groups as the last look that did not fail has found them, by name."""

    def wait(self, number: int, timeout_s: float | None = None) -> int:
        """Wait until there is something newer than number; the number of what there is then."""

    def refresh(self) -> None:
        """Look again at once."""

    def look_closely(self, groups: Collection[str]) -> None:
        """Somebody looks at these groups."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a change would do, in lines; ``refused`` says why it cannot be done, "" if it can."""

    title: str
    lines: tuple[str, ...]
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a change; ``undo`` is the command line that takes it back, "" if there is nothing to restore."""

    words: str
    undo: str = ""
    failed: bool = False


class Changes(Protocol):
    """What may be changed; every method asks the cluster and takes its time, so threads call it.

    ``delete`` and ``reset`` do what was shown, if it was previewed last, and nothing else. They raise if nothing was
    changed: things are no longer as they were shown, or the rollback file could not be written.
    """

    @property
    def made(self) -> Sequence[Done]:
        """All changes so far, also those that failed, the newest last."""

    def preview_delete(self, group: str) -> Preview:
        """What would be gone."""

    def delete(self, group: str, shown: Preview) -> Done:
        """Do what was shown."""

    def preview_reset(self, group: str, partitions: Sequence[TopicPartition], wanted: str) -> Preview:
        """What ``wanted`` (``earliest``, ``offset 5``, ``2026-01-31T12:00:00Z`` …) would do."""

    def reset(self, group: str, shown: Preview) -> Done:
        """Do what was shown."""
