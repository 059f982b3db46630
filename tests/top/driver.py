"""`rota top` on views made by hand, driven by Textual's pilot; what a person would see, as text."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from tests.kafka.ports import PATIENCE_S
from tests.top.stage import NOW_MS
from textual import events

from rota.top.app import Top

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from rota.top.source import Changes, Source

__all__ = ["Seat", "play"]

NAMES = {"\r": "enter", " ": "space", ":": "colon", "/": "slash", "-": "minus"}
"""Keys that Textual calls otherwise."""


class Seat:
    """Somebody at the terminal."""

    def __init__(self, app: Top, pilot: Pilot[None], stage: Source) -> None:
        self.app = app
        self.stage = stage
        self._pilot = pilot

    async def press(self, *keys: str) -> None:
        await self._pilot.press(*keys)
        await self._pilot.pause()

    def type_at_once(self, letter: str) -> None:
        """A key that does not wait until the one before it has done its work, as in a paste."""
        self.app.post_message(events.Key(NAMES.get(letter, letter), letter))

    async def type(self, text: str) -> None:
        await self.press(*(NAMES.get(letter, letter) for letter in text))

    async def resize(self, width: int, height: int) -> None:
        await self._pilot.resize_terminal(width, height)
        await self._pilot.pause()

    @property
    def lines(self) -> list[str]:
        """The screen as it is drawn."""
        screen = self.app.screen
        return ["".join(part.text for part in strip).rstrip() for strip in screen._compositor.render_strips()]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    async def see(self, *words: str) -> str:
        """Wait until all of this is on the screen; the screen."""
        return await self._until(lambda text: all(word in text for word in words), f"{words} to be shown")

    async def miss(self, *words: str) -> str:
        """Wait until none of this is on the screen; the screen."""
        return await self._until(lambda text: not any(word in text for word in words), f"{words} to be gone")

    async def _until(self, holds: Callable[[str], bool], what: str) -> str:
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while not holds(self.text):
            assert asyncio.get_running_loop().time() < deadline, (
                f"waited for {what}; the screen:\n{self.text}"
            )
            await self._pilot.pause(0.02)
        return self.text


def play(
    stage: Source,
    act: Callable[[Seat], Awaitable[None]],
    *,
    size: tuple[int, int] = (120, 40),
    group: str | None = None,
    changes: Changes | None = None,
    now_ms: Callable[[], int] = lambda: NOW_MS,
) -> Top:
    """Run the app with somebody at it, until they are done."""

    async def run() -> Top:
        app = Top(stage, "127.0.0.1:9092", group=group, changes=changes, now_ms=now_ms)
        async with app.run_test(size=size) as pilot:
            await act(Seat(app, pilot, stage))
        return app

    return asyncio.run(run())
