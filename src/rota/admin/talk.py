"""What an ``Admin`` has in one process: a thread, connections, and what it remembers of the cluster."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rota.admin.commits_reader import Remembered
from rota.admin.looping import LoopThread
from rota.admin.routing import Brokers
from rota.admin.topics import Topics

if TYPE_CHECKING:
    from rota.admin.security import Security

__all__ = ["Talk"]


class Talk:
    """Its brokers, topics and commits are to be touched in its thread only (``run`` of ``thread``)."""

    def __init__(
        self,
        bootstrap: str,
        known: list[tuple[str, int]],
        security: Security,
        client_id: str,
        timeout_s: float,
    ) -> None:
        self.pid = os.getpid()
        self.timeout_s = timeout_s
        self.thread = LoopThread(f"rota-admin {bootstrap}")
        self.brokers = Brokers(bootstrap, known, security, client_id, timeout_s)
        self.topics = Topics(self.brokers)
        self.commits = Remembered()

    def close(self) -> None:
        """End the connections and the thread."""

        async def end() -> None:
            self.brokers.close()

        self.thread.run(end())
        self.thread.close()
