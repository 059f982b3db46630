"""Server-sent events: what is different since the last message, for as long as a browser listens.

One message a look at most. A browser that reads slowly makes its own stream wait in ``send``; when it is back it gets
what is newest. A message is an object: ``number`` (of the look), ``now_ms``, ``interval_s``, ``whole``, ``failure``,
``log_failure``, ``set`` (parts by key) and ``gone`` (keys). With ``whole`` what the browser had is to be forgotten. Its
id names the run of the server and the look, so that a browser that comes back (`Last-Event-ID`) is told the difference
only.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from rota.web.feed import Look, difference, encode

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from rota.web.feed import Feed, Frame

__all__ = ["MOST_STREAMS", "message", "serve_stream"]

BEAT_S: Final = 10.0
"""How long nothing may be said: a comment keeps proxies from closing the connection, and finds out who is gone."""
LEAST_GAP_S: Final = 0.2
"""Between two messages: nobody reads faster."""
STALLED_S: Final = 60.0
"""A browser that takes nothing for so long is given up; it may come again."""
RETRY_MS: Final = 1500
"""When a browser that lost the connection tries again."""
MOST_STREAMS: Final = 100

_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


def message(feed: Feed, look: Look, before: Frame | None, now: Frame) -> bytes:
    """One event; ``before`` None: whoever gets it has nothing yet."""
    changed, gone = difference(before or {}, now)
    parts = b",".join(encode(key) + b":" + value for key, value in changed.items())
    line = (
        b'{"number":%d,"now_ms":%d,"interval_s":%s,"whole":%s,"failure":%s,"log_failure":%s,"set":{%s},"gone":%s}'
        % (
            look.number,
            int(time.time() * 1000),
            encode(feed.interval_s),
            encode(before is None),
            encode(look.failure),
            encode(look.log_failure),
            parts,
            encode(gone),
        )
    )
    return b"id: %s.%d\ndata: %s\n\n" % (feed.boot.encode(), look.number, line)


async def serve_stream(feed: Feed, group: str, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request with events until the browser goes, stalls, or the server ends."""
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    telling = asyncio.ensure_future(_tell(feed, group, _last_event_id(scope), send))
    leaving = asyncio.ensure_future(_until_gone(receive))
    try:
        await asyncio.wait({telling, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (telling, leaving):
            task.cancel()
            with suppress(asyncio.CancelledError, TimeoutError, OSError):
                await task
    with suppress(OSError):
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _tell(feed: Feed, group: str, last_id: str, send: Send) -> None:
    await _say(send, b"retry: %d\n\n" % RETRY_MS)
    sent, before = await _where_it_was(feed, group, last_id)
    number = -1 if before is None else sent
    while not feed.closed:
        look = feed.latest if feed.latest.number not in (0, number) else await feed.after(number, BEAT_S)
        if look is None or look.number == 0:
            await _say(send, b": here\n\n")
            if look is not None:
                await feed.after(0, BEAT_S)
            continue
        now = await feed.frame(look, group)
        await _say(send, message(feed, look, before, now))
        number, before = look.number, now
        await asyncio.sleep(LEAST_GAP_S)


async def _where_it_was(feed: Feed, group: str, last_id: str) -> tuple[int, Frame | None]:
    """The look that a browser saw last, if it is remembered and was seen in this run."""
    boot, _, number = last_id.rpartition(".")
    if boot == feed.boot and number.isascii() and number.isdigit() and len(number) < 19:
        look = feed.remembered(int(number))
        if look is not None:
            return look.number, await feed.frame(look, group)
    return 0, None


async def _say(send: Send, body: bytes) -> None:
    async with asyncio.timeout(STALLED_S):
        await send({"type": "http.response.body", "body": body, "more_body": True})


async def _until_gone(receive: Receive) -> None:
    while True:
        event: Any = await receive()
        if event["type"] == "http.disconnect":
            return


def _last_event_id(scope: Scope) -> str:
    found = [value for name, value in scope["headers"] if name == b"last-event-id"]
    return found[0].decode("latin-1") if found else ""
