"""The owner thread: it alone calls the client, from the first subscription to the end."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.consumer.client import Client
    from rota.consumer.engine import Engine

__all__ = ["Owner"]

log = logging.getLogger("rota.consumer")

_MOST = 2_000
"""Records fetched at once."""
_POLL_S = 0.02
_CLOSE_S = 10.0


class Owner:
    """``run`` returns when it was told to stop and all is done, or raises `RotaError` with the reason."""

    def __init__(self, client: Client, engine: Engine, topics: Sequence[str]) -> None:
        self._client = client
        self._engine = engine
        self._topics = topics
        self._stop = threading.Event()

    def stop(self) -> None:
        """From any thread, or a signal handler: finish what has begun, commit, leave."""
        self._stop.set()

    def run(self) -> str | None:
        """Why it ended by itself; None if it was asked to."""
        engine, client, stop = self._engine, self._client, self._stop
        client.subscribe(self._topics, engine)
        idle_ms = 1
        polled = time.monotonic()
        while not stop.is_set() and engine.stopping is None:
            room = engine.gates.room()
            now = time.monotonic()
            if room or now - polled > 0.4:
                polled = now
                batch = client.consume(min(max(room, 1), _MOST), _POLL_S if room else 0)
                if batch:
                    engine.dispatch(batch)
                idle_ms = 1
            else:
                engine.wait(idle_ms)
                idle_ms = min(2 * idle_ms, 10)
            engine.tick()
        clean = engine.finish()
        if not clean:
            log.warning("not everything that had begun was finished and committed; it will come again")
        self._close()
        return engine.stopping

    def _close(self) -> None:
        closer = threading.Thread(target=self._client.close, name="rota-close", daemon=True)
        closer.start()
        closer.join(_CLOSE_S)
        if closer.is_alive():
            log.error("the client did not close within %d s; leaving without it", _CLOSE_S)
