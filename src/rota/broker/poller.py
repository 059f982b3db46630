"""Which sockets are ready: epoll itself where there is one, ``selectors`` elsewhere.

``selectors`` makes an object for every socket that is ready. In a broker whose requests are small that is felt.
"""

from __future__ import annotations

import select
import sys
from typing import Final, Protocol

__all__ = ["READ", "WRITE", "Poller", "SelectorPoller", "new_poller"]

# epoll's numbers. It may report more (an error, a hang-up), which concerns whoever watches.
READ: Final = 1
WRITE: Final = 4


class Poller(Protocol):
    """Watches file descriptors."""

    def watch(self, fd: int, events: int) -> None:
        """From now on report these events of ``fd``, ``READ``, ``WRITE`` or both, and no others; 0: none."""

    def poll(self, timeout_s: float | None) -> list[tuple[int, int]]:
        """What is ready, as file descriptor and events; wait at most ``timeout_s`` for it, None: for ever."""

    def close(self) -> None:
        """Give back what the system keeps for this."""


def new_poller() -> Poller:
    """The fastest one that this system has."""
    return EpollPoller() if sys.platform == "linux" else SelectorPoller()


if sys.platform == "linux":

    class EpollPoller:
        """epoll, level-triggered."""

        def __init__(self) -> None:
            self._epoll = select.epoll()
            self._watched: dict[int, int] = {}
            self.poll = self._epoll.poll

        def watch(self, fd: int, events: int) -> None:
            before = self._watched.get(fd, 0)
            if not events:
                if before:
                    del self._watched[fd]
                    self._epoll.unregister(fd)
                return
            if not before:
                self._epoll.register(fd, events)
            elif before != events:
                self._epoll.modify(fd, events)
            self._watched[fd] = events

        def close(self) -> None:
            self._epoll.close()


class SelectorPoller:
    """Whatever ``selectors`` finds: kqueue, or poll."""

    def __init__(self) -> None:
        import selectors

        self._selector = selectors.DefaultSelector()
        self._masks = {READ: selectors.EVENT_READ, WRITE: selectors.EVENT_WRITE}
        self._masks[READ | WRITE] = selectors.EVENT_READ | selectors.EVENT_WRITE
        self._events = {mask: events for events, mask in self._masks.items()}

    def watch(self, fd: int, events: int) -> None:
        known = fd in self._selector.get_map()
        if not events:
            if known:
                self._selector.unregister(fd)
        elif known:
            self._selector.modify(fd, self._masks[events])
        else:
            self._selector.register(fd, self._masks[events])

    def poll(self, timeout_s: float | None) -> list[tuple[int, int]]:
        return [(key.fd, self._events[mask]) for key, mask in self._selector.select(timeout_s)]

    def close(self) -> None:
        self._selector.close()
