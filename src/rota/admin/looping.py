"""The thread in which an ``Admin`` talks: an event loop of its own, so that callers just wait for answers."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["LoopThread"]

_T = TypeVar("_T")


class LoopThread:
    """A daemon thread with an event loop, from the first ``run`` until ``close``."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, question: Coroutine[Any, Any, _T]) -> _T:
        """Carry out a coroutine there and wait for it, from any other thread. An interrupt gives it up."""
        assert threading.current_thread() is not self._thread
        future = asyncio.run_coroutine_threadsafe(question, self._loop)
        try:
            return future.result()
        except CancelledError:
            raise RuntimeError("closed while it was asked") from None
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Give up what is under way, and end the thread."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
