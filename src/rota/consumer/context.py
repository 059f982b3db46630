"""What a handler is told besides its record."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rota.consumer.state import Ours
    from rota.consumer.work import Task

__all__ = ["Context"]


class Context:
    """What a handler is told besides its record."""

    __slots__ = ("_ours", "_task")

    def __init__(self, ours: Ours, task: Task) -> None:
        self._ours = ours
        self._task = task

    @property
    def attempt(self) -> int:
        """1 for the first attempt."""
        return self._task.attempt

    @property
    def revoking(self) -> bool:
        """Whether the partition is being taken away: a handler may cut its work short."""
        message = self._task.messages[self._task.running]
        return not self._ours.owns(message)
