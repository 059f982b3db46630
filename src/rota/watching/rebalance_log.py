"""Why groups rebalance: from ``__consumer_offsets``, or, where that may not be read, from looks at them alone."""

from __future__ import annotations

from collections.abc import Collection
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rota.monitor.rebalances import PollReader
from rota.watching.offsets_topic import OffsetsTopic

if TYPE_CHECKING:
    from rota.admin import Admin
    from rota.model import RotaError
    from rota.monitor.facts import Snapshot
    from rota.monitor.rebalances import Told

__all__ = ["RebalanceLog"]


class RebalanceLog:
    """``groups``: only these; None: all of them. Looks are given to it one after the other, by one thread; its answers
    may be asked for by any, and never wait for the cluster.
    """

    def __init__(self, admin: Admin, groups: Collection[str] | None = None) -> None:
        self.topic = OffsetsTopic(admin, groups)
        self._polled = PollReader()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Read no further."""
        self.topic.close()

    @property
    def failure(self) -> RotaError | None:
        """Why the topic is not read; None where it is."""
        return self.topic.failure

    def look(self, snapshot: Snapshot) -> None:
        """One more look: it tells that a rebalance has begun, and where the topic cannot be read everything else."""
        failed = self.failure is not None
        ends = {tp: facts.end for tp, facts in snapshot.partitions.items() if facts.end is not None}
        (self._polled if failed else self.topic).look_at_ends(ends, snapshot.at_ms)
        for group, facts in snapshot.groups.items():
            if failed:
                self._polled.look(facts, snapshot.commits.get(group, {}), snapshot.at_ms)
            else:
                self.topic.look(facts, snapshot.at_ms, round(snapshot.took_ms))

    def account(self, group: str) -> list[Told]:
        """Each rebalance with its causes and what it cost, oldest first."""
        return (self._polled if self.failure is not None else self.topic).account(group)
