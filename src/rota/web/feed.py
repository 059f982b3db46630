"""From a watch's thread to any number of browsers, of which none can hold up the watch, the server or another.

Each look becomes a `Frame`: parts by key, each as JSON. A stream remembers the frame that it sent last and is told
what is different in the newest; what came in between it never sees. So a slow browser costs one old frame, and frames
are shared by all that are at the same look.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from rota.monitor.cast import Cast
from rota.web.documents import finding_documents, head, history, member_documents, partition_documents, row
from rota.web.picture import Story, story

if TYPE_CHECKING:
    from rota.model import RotaError
    from rota.monitor.view import GroupView

__all__ = ["Feed", "Frame", "Look", "Source", "difference", "encode"]

KEPT_LOOKS: Final = 4
"""How many looks back a browser that comes again is told only what is different."""
WAIT_S: Final = 1.0
"""How long the feed's thread waits for a look before it sees whether it is to end."""
MOST_STORIES: Final = 64
"""How many groups' timelines are kept, worked out, and who looks how in them."""

Frame = Mapping[str, bytes]
"""Parts of a page by key, each a JSON value."""


class Source(Protocol):
    """What a `rota.watching.live.Live` is to this package."""

    @property
    def failure(self) -> RotaError | None: ...
    @property
    def log_failure(self) -> RotaError | None: ...
    def views(self) -> Mapping[str, GroupView]: ...
    def wait(self, number: int, timeout_s: float | None = None) -> int: ...
    def look_closely(self, groups: Collection[str]) -> None: ...


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at once, and the frames made of it so far (by group; "" is the list)."""

    number: int
    views: Mapping[str, GroupView]
    failure: str | None
    log_failure: str | None = None
    """Why rebalances are not read from the groups' own log, but only seen by looking."""
    frames: dict[str, Frame] = field(default_factory=dict)


@dataclass(slots=True)
class _Known:
    """A group's story, and what it was made of."""

    cast: Cast
    cause: object = None
    story: Story | None = None


def encode(value: object) -> bytes:
    """JSON in ASCII, whatever is in a name; what is no number is null already."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def difference(before: Frame, now: Frame) -> tuple[dict[str, bytes], list[str]]:
    """The parts that are new or changed, and the keys of those that are gone."""
    changed = {key: value for key, value in now.items() if before.get(key) != value}
    return changed, [key for key in before if key not in now]


class Feed:
    """The newest look for whoever asks. `start` and `close` belong to the loop's thread."""

    def __init__(self, source: Source, *, interval_s: float) -> None:
        self.boot = secrets.token_hex(4)
        """Tells looks of this run from those of an earlier one."""
        self.interval_s = interval_s
        self._source = source
        self._stories: OrderedDict[str, _Known] = OrderedDict()
        self._rows: dict[str, tuple[GroupView, bytes]] = {}
        self._watched: Counter[str] = Counter()
        self._making = threading.Lock()
        self._looks: OrderedDict[int, Look] = OrderedDict({0: Look(0, {}, None)})
        self._arrived = asyncio.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def latest(self) -> Look:
        """The newest look; number 0 before there is any."""
        return next(reversed(self._looks.values()))

    @property
    def closed(self) -> bool:
        """Whether the server is about to end."""
        return self._closed.is_set()

    def remembered(self, number: int) -> Look | None:
        """An earlier look, if it is kept."""
        return self._looks.get(number) if number else None

    def start(self) -> None:
        """Begin to take looks."""
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._follow, args=(loop,), name="rota-web-feed", daemon=True)
        self._thread.start()

    @contextmanager
    def watched(self, group: str) -> Iterator[None]:
        """Somebody looks at this group ("" is the list): of such groups more is asked."""
        self._watched[group] += 1
        self._source.look_closely(set(+self._watched) - {""})
        try:
            yield
        finally:
            self._watched[group] -= 1
            self._watched = +self._watched
            self._source.look_closely(set(self._watched) - {""})

    def close(self) -> None:
        """Wake all that wait; they see that it is closed."""
        self._closed.set()
        self._arrived.set()

    async def after(self, number: int, timeout: float) -> Look | None:
        """The newest look once it is another than that one; None when the time is up or the feed is closed."""
        deadline = asyncio.get_running_loop().time() + timeout
        while self.latest.number == number and not self.closed:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return None
            try:
                await asyncio.wait_for(self._arrived.wait(), left)
            except TimeoutError:
                return None
        return None if self.closed else self.latest

    async def frame(self, look: Look, group: str) -> Frame:
        """The parts of a group's page, or with "" of the list of groups; none of a group that is not there."""
        if group and group not in look.views:
            return {}
        made = look.frames.get(group)
        if made is None:
            made = await asyncio.to_thread(self._make, look, group)
        return made

    def _follow(self, loop: asyncio.AbstractEventLoop) -> None:
        number, count = 0, 0
        told: tuple[str | None, ...] = (None, None)
        while not self._closed.is_set():
            newest = self._source.wait(number, WAIT_S)
            failures = _words(self._source.failure), _words(self._source.log_failure)
            if (newest, failures) == (number, told):
                continue
            number, told, count = newest, failures, count + 1
            look = Look(count, self._source.views(), *failures)
            try:
                loop.call_soon_threadsafe(self._take, look)
            except RuntimeError:  # the loop is closed: the server has ended
                return

    def _take(self, look: Look) -> None:
        self._looks[look.number] = look
        self._looks.move_to_end(look.number)
        while len(self._looks) > KEPT_LOOKS:
            self._looks.popitem(last=False)
        arrived, self._arrived = self._arrived, asyncio.Event()
        arrived.set()

    def _make(self, look: Look, group: str) -> Frame:
        with self._making:
            if group not in look.frames:
                look.frames[group] = self._page(look, group) if group else self._list(look)
            return look.frames[group]

    def _list(self, look: Look) -> Frame:
        made = {}
        for name, view in look.views.items():
            before = self._rows.get(name)
            made[name] = before if before is not None and before[0] is view else (view, encode(row(view)))
        self._rows = made
        return {name: text for name, (_, text) in made.items()}

    def _page(self, look: Look, group: str) -> Frame:
        view = look.views[group]
        told = self._story(view)
        parts: dict[str, Any] = {
            "head": head(view),
            "partitions": partition_documents(view, told.name_of),
            "members": member_documents(view, told.name_of),
            "history": history(view),
            "findings": finding_documents(view.findings),
            "timeline": told.timeline,
            "log": told.log,
        }
        return {key: encode(value) for key, value in parts.items()}

    def _story(self, view: GroupView) -> Story:
        """The past is worked out again only if something happened, or somebody holds other partitions."""
        group = view.facts.group
        cause = (
            view.events[-1:],
            len(view.events),
            view.rebalance,
            view.told,
            tuple((member.member_id, member.assignment) for member in view.facts.members),
            tuple(part.partition for part in view.partitions),
        )
        known = self._stories.setdefault(group, _Known(Cast()))
        self._stories.move_to_end(group)
        while len(self._stories) > MOST_STORIES:
            self._stories.popitem(last=False)
        if known.story is None or known.cause != cause:
            known.story, known.cause = story(view, known.cast), cause
        return known.story


def _words(failure: RotaError | None) -> str | None:
    return None if failure is None else str(failure)
