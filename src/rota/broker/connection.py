"""A client's connection: bytes in, frames to handlers, responses out in the order of the requests.

As in Apache Kafka, a connection serves one request at a time: while an answer is awaited (a parked fetch or
join) or cannot be sent (the client reads slowly), its later requests wait in the socket. That bounds what one
client can make the broker hold.

The hot path allocates as little as it can: frames are parsed in place in a receive buffer shared by all
connections of the loop; only the tail of a frame that has not arrived whole is copied, into a buffer of its own
that the socket then fills directly. All answers to the requests of one ``recv`` leave in one ``send``.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING

from rota.broker.dispatch import key_and_version
from rota.broker.fairness import TURN_S
from rota.broker.request import PARKED, NoAnswer, Request
from rota.broker.request_memory import FREE
from rota.storage import FileRegion
from rota.wire import WireError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rota.broker.dispatch import Route
    from rota.broker.server import Server
    from rota.wire.schema import Message

__all__ = ["Connection"]

log = logging.getLogger(__name__)

_SIZE = struct.Struct(">i")
_HEADER = struct.Struct(">ii")  # API key and version, see ``Dispatch.routes``, and correlation id
_MSG_MORE = getattr(socket, "MSG_MORE", 0)
_MAX_BUFFERS = 512  # below IOV_MAX everywhere
_COPIED = 16 * 1024  # records up to here go through memory, in one call with what is around them
_SHORTER = "a log file is shorter than its index says"
_FLUSH_AT = 256 * 1024  # bytes of answers that are sent before more requests are served
# A frame's claimed size is believed up to here; beyond it, memory follows the data that arrives.
_TRUSTED_FRAME = 64 * 1024
_AT_ONCE = 512 * 1024  # bytes of a large frame that are read before others have their turn
_CRUMB, _FEW_CRUMBS = 2048, 8  # bytes; how many such pieces of one frame are nothing unusual
_CRUMB_WAIT_S, _LONGEST_CRUMB_WAIT_S = 0.005, 0.25
_MEMORY_WAIT_S = 0.1
_NOTHING, _HALF, _ALL = 0.0, 0.5, 1.0
_LOOK_AT_CLOCK = 16  # after so many requests of one turn
_AHEAD = 64 * 1024  # bytes that are taken from a client that sends ahead; the rest waits in the socket


class Connection:
    """One accepted socket, registered with the loop's reader."""

    __slots__ = (
        "_asked",
        "_buffer",
        "_closed",
        "_crumbs",
        "_filled",
        "_has_more",
        "_is_large",
        "_is_muted",
        "_out",
        "_out_bytes",
        "_owed_s",
        "_parked",
        "_reading",
        "_resume_planned",
        "_sock",
        "_spent_s",
        "_writing",
        "client_host",
        "fd",
        "last_active",
        "on_ahead",
        "on_gone",
        "peer",
        "server",
        "state",
    )

    def __init__(self, server: Server, sock: socket.socket, address: tuple[str, int]) -> None:
        self.server = server
        self._sock = sock
        self.fd = sock.fileno()
        self.peer = f"{address[0]}:{address[1]}"
        self.client_host = f"/{address[0]}"
        self.last_active = server.loop.time()
        # Called when the client of a parked request sends ahead of it, and when it is gone.
        self.on_ahead: Callable[[], None] | None = None
        self.on_gone: Callable[[], None] | None = None
        self.state: dict[str, object] = {}  # what handlers remember of this client (its software's name)
        self._buffer = bytearray()  # bytes received but not yet served; used only when a frame is incomplete
        self._filled = 0
        self._out: deque[bytes | bytearray | memoryview | FileRegion] = deque()
        self._out_bytes = 0
        self._parked: Request | None = None
        self._writing = False
        self._reading = True
        self._resume_planned = False
        self._closed = False
        self._is_large = False  # the frame that is not whole yet was given room
        self._crumbs = 0  # how many small pieces of one frame have come
        self._spent_s = 0.0  # on the frame that is not whole yet
        self._owed_s = 0.0  # time that it took while it waited for an answer
        # How much of its time this client is to pay for, since it has asked, in this turn, what is asked rarely.
        self._asked = _NOTHING
        self._has_more = False  # it has sent more than its turn was long enough for
        self._is_muted = False  # it is not read from for a while: see ``fairness``
        server.loop.add_reader(self.fd, self._on_readable)

    # --- in -------------------------------------------------------------------------------------------------

    def _on_readable(self) -> None:
        self.last_active = self.server.loop.time()
        try:
            if self._filled or self._parked is not None or self._writing:
                self._receive_into_own()
            else:
                shared = self.server.receive_buffer
                count = self._sock.recv_into(shared)
                if not count:
                    self.close("closed by the client")
                    return
                size = count - 4
                if (
                    _HEADER.size <= size <= self.server.max_request_bytes
                    and _SIZE.unpack_from(shared)[0] == size
                ):  # one request, as mostly
                    self._serve(shared[4:count], is_last=True)
                else:
                    used = self._serve_frames(shared, count)
                    if used < count and not self._closed:
                        self._keep(shared[used:count])
                self._end_turn()
        except BlockingIOError:
            return
        except OSError as error:
            self.close(f"read failed: {error.strerror}")

    def _receive_into_own(self) -> None:
        """Continue an incomplete frame, or take a first look at what a client sends ahead while it must wait."""
        busy = self._parked is not None or self._writing
        if busy and self._filled >= _AHEAD:
            self._sent_ahead()
            return
        if self._filled == len(self._buffer):
            self._grow(max(4096, self._filled * 2) if not busy else self._filled + _AHEAD)
        count = self._sock.recv_into(memoryview(self._buffer)[self._filled : self._filled + _AT_ONCE])
        if not count:
            self.close("closed by the client")
            return
        before = self._filled = self._filled + count
        if busy:
            self._sent_ahead()
            return
        self._serve_own()
        if self._filled != before:
            self._crumbs, self._spent_s = 0, 0.0
            return
        self._spent_s += self.server.loop.time() - self.last_active
        if count < _CRUMB:
            self._crumbs += 1
            if self._crumbs > _FEW_CRUMBS and not (self._closed or self._is_muted):
                # Who sends a frame a byte at a time does not wake the broker for each.
                self._mute(min(self._crumbs * _CRUMB_WAIT_S, _LONGEST_CRUMB_WAIT_S))

    def _sent_ahead(self) -> None:
        """Enough is known: the client is alive, and sends ahead while it must wait."""
        self._pause_reading()
        self._tell_ahead()

    def _tell_ahead(self) -> None:
        """Whoever holds back the answer to a parked request hears that more has come behind it."""
        if self.on_ahead is not None:
            on_ahead, self.on_ahead = self.on_ahead, None
            on_ahead()

    def _serve_own(self) -> None:
        view = memoryview(self._buffer)
        used = self._serve_frames(view, self._filled)
        if self._closed:
            return
        if used:
            rest = view[used : self._filled]
            self._buffer, self._filled = bytearray(), 0
            self._give_back()
            if len(rest):
                self._keep(rest)
        elif self._filled == len(self._buffer):
            size = self._wanted(view, self._filled)
            if size > FREE and not self._has_room(size):
                self._mute(_MEMORY_WAIT_S)
                return
            self._grow(size)
        self._end_turn()

    def _end_turn(self) -> None:
        if self._out:
            self.server.broker.fetch_waits.hurry()
            self._flush()
        if self._asked or self._has_more:
            self._let_others_in()

    def _let_others_in(self) -> None:
        """Go on after the others, or, if this client has asked for much, after a while."""
        asked, self._asked = self._asked, _NOTHING
        has_more, self._has_more = self._has_more, False
        if self._closed:
            return
        wait_s = 0.0
        if asked:
            spent_s = self.server.loop.time() - self.last_active + self._spent_s + self._owed_s
            self._owed_s = 0.0
            wait_s = self.server.charge(self, asked * spent_s)
        if wait_s:
            self._mute(wait_s)
        elif has_more:
            self._pause_reading()
            self._plan_resume()

    def asked_in_vain(self) -> None:
        """A request that had to be refused, and that a client sends again and again: it is none of its business."""
        self._asked = _ALL

    def asked_widely(self) -> None:
        """What it asks is its business, but takes long."""
        self._asked = max(self._asked, _HALF)

    def owes_since(self, began: float) -> None:
        """Its answer, which comes now, took the others' time since ``began`` (the loop's clock)."""
        self._owed_s += self.server.loop.time() - began

    def _mute(self, wait_s: float) -> None:
        self._is_muted = True
        self._pause_reading()
        self.server.loop.call_later(wait_s, self._unmute)

    def _unmute(self) -> None:
        self._is_muted = False
        if self._closed:
            return
        if self._parked is None and not self._writing:
            self._resume()
        elif not self._reading:  # to see whether the client is gone
            self._reading = True
            self.server.loop.add_reader(self.fd, self._on_readable)

    def _has_room(self, size: int) -> bool:
        """Whether there is room for so much of a large frame."""
        if not self.server.request_memory.give(self, size, self.last_active):
            return False
        self._is_large = True
        return True

    def _give_back(self) -> None:
        if self._is_large:
            self.server.request_memory.give_back(self)
            self._is_large = False

    def _keep(self, rest: memoryview) -> None:
        """Copy an incomplete frame's beginning into a buffer of this connection's own."""
        self._buffer = bytearray(max(self._wanted(rest, len(rest)), len(rest)))
        self._buffer[: len(rest)] = rest
        self._filled = len(rest)
        self._tell_ahead()

    def _wanted(self, view: memoryview, filled: int) -> int:
        """How large the buffer should be for the frame at its start: the whole frame when it is small."""
        if filled < 4:
            return 4096
        whole = 4 + int(_SIZE.unpack_from(view)[0])
        return min(whole, max(_TRUSTED_FRAME, filled * 4)) if whole > filled else filled

    def _grow(self, size: int) -> None:
        if size > len(self._buffer):
            larger = bytearray(size)
            larger[: self._filled] = memoryview(self._buffer)[: self._filled]
            self._buffer = larger

    def _serve_frames(self, view: memoryview, end: int) -> int:
        """Serve the whole frames in ``view[:end]`` while nothing is awaited; return how many bytes were used."""
        position = served = 0
        limit = self.server.max_request_bytes
        while end - position >= 4 and self._parked is None and not (self._writing or self._closed):
            size = _SIZE.unpack_from(view, position)[0]
            if size < 8 or size > limit:
                self.close(
                    f"frame of {size} bytes refused: 8 to {limit} are allowed (socket.request.max.bytes)"
                )
                break
            stop = position + 4 + size
            if stop > end:
                break
            self._serve(view[position + 4 : stop], is_last=stop == end)
            position = stop
            if self._out_bytes > _FLUSH_AT:
                self._flush()
            served += 1
            if (self._asked or not served % _LOOK_AT_CLOCK) and (
                self.server.loop.time() - self.last_active > TURN_S
            ):
                self._has_more = end - position >= 4
                break
        return position

    def _serve(self, frame: memoryview, *, is_last: bool) -> None:
        slot, correlation_id = _HEADER.unpack_from(frame)
        server = self.server
        try:
            route = server.dispatch.routes.get(slot) or server.dispatch.route_of(slot)
            if route is None:
                self.close(f"{_name(slot)} is not served here")
                return
            client_id, body = route.read(frame)
            broker = server.broker
            quick = route.quick
            if quick is not None and broker.syncs is None:
                result = quick(broker, body)
                if result is not None:
                    self._answer(route, correlation_id, result, is_last=is_last)
                    return
            request = Request(self, route, route.version, correlation_id, client_id)
            if route.is_rare and not (is_last and route.is_rare_in_crowds):
                self._asked = _ALL
            result = route.handle(broker, body, request)
            if broker.syncs is not None and broker.syncs.is_due:
                result = broker.syncs.hold(request, result)
            if is_last:
                broker.fetch_waits.hurry()  # before the answer is even written: others wait for the records
            if result.__class__ is not NoAnswer:
                self._answer(route, correlation_id, result, is_last=is_last)
            elif result is PARKED and not self._closed:
                self._parked = request
        except WireError as error:
            self.close(f"malformed request ({_name(slot)}): {error}")
        except Exception:
            log.exception("bug: %s from %s failed; connection closed", _name(slot), self.peer)
            self.close("internal error")

    # --- out ------------------------------------------------------------------------------------------------

    def _answer(self, route: Route, correlation_id: int, response: Message, *, is_last: bool) -> None:
        """Queue an answer; or send it, if it is in one piece and none is before it, nor comes soon after it."""
        out = self._out
        if not route.is_whole:
            for chunk in route.frame(correlation_id, response):
                out.append(chunk)
                self._out_bytes += len(chunk)
            return
        answer = route.whole(correlation_id, response)
        if is_last and not out:
            self._send(answer)
        else:
            out.append(answer)
            self._out_bytes += len(answer)

    def _send(self, answer: bytes) -> None:
        """Send an answer before which none waits; what the socket does not take is queued."""
        sent = 0
        if not self._closed:
            try:
                sent = self._sock.send(answer)
                if sent == len(answer):
                    return
            except (BlockingIOError, InterruptedError):
                pass
            except OSError as error:
                self.close(f"write failed: {error.strerror}")
                return
        self._out.append(memoryview(answer)[sent:] if sent else answer)
        self._out_bytes += len(answer) - sent

    def reply_later(self, request: Request, response: Message) -> None:
        """Send the answer to a parked request, then go on with what the client sent meanwhile."""
        if self._unpark(request):
            self._answer(request.route, request.correlation_id, response, is_last=True)
            self._go_on()

    def reply_whole(self, request: Request, answer: bytes) -> None:
        """``reply_later`` with an answer whose bytes are made already."""
        if not self._unpark(request):
            return
        if self._out:
            self._out.append(answer)
            self._out_bytes += len(answer)
        else:
            self._send(answer)
        self._go_on()

    def _unpark(self, request: Request) -> bool:
        """The answer to a request is here; whether anybody is left to hear it."""
        if self._closed:
            return False
        if self._parked is request:
            self._parked = None
            self.on_ahead = self.on_gone = None
        return True

    def _go_on(self) -> None:
        if self._out:
            self._flush()
        if self._filled or not self._reading:
            self._plan_resume()

    def _plan_resume(self) -> None:
        # Through the loop, not at once: one coordinator outcome answers many connections, and none of them
        # may start a new request while it is being carried out.
        if not self._resume_planned and not self._closed and (self._filled or not self._reading):
            self._resume_planned = True
            self.server.loop.call_soon(self._resume)

    def _resume(self) -> None:
        self._resume_planned = False
        if self._closed or self._parked is not None or self._writing or self._is_muted:
            return
        self.last_active = self.server.loop.time()
        if not self._reading:
            self._reading = True
            self.server.loop.add_reader(self.fd, self._on_readable)
        if self._filled:
            self._serve_own()

    def _pause_reading(self) -> None:
        if self._reading:
            self._reading = False
            self.server.loop.remove_reader(self.fd)

    def _flush(self) -> None:
        if self._closed or not self._out or self._writing:
            return
        self._write()
        if self._out and not self._closed:
            self._writing = True
            self.server.loop.add_writer(self.fd, self._on_writable)

    def _on_writable(self) -> None:
        self.last_active = self.server.loop.time()
        self._write()
        if not self._out and not self._closed:
            self._writing = False
            self.server.loop.remove_writer(self.fd)
            self._plan_resume()

    def _write(self) -> None:
        """Send until everything is sent or the socket is full."""
        out = self._out
        try:
            while out:
                first = out[0]
                if type(first) is bytes and len(out) == 1:  # most answers
                    sent = self._sock.send(first)
                    if sent == len(first):
                        out.clear()
                        self._out_bytes = 0
                        return
                elif first.__class__ is FileRegion and first.length > _COPIED:
                    size = first.length
                    sent = os.sendfile(self.fd, first.file.fd, first.offset, size)
                    if sent < size:  # the socket is full: no need to be told so by another call
                        if not sent:
                            raise OSError(errno.EIO, _SHORTER)
                        self._out_bytes -= sent
                        first.offset += sent
                        first.length -= sent
                        return
                else:
                    sent = self._send_buffers()
                    if sent == self._out_bytes:
                        out.clear()
                        self._out_bytes = 0
                        return
                self._drop(sent)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.close(f"write failed: {error.strerror}")

    def _send_buffers(self) -> int:
        buffers: list[bytes | bytearray | memoryview] = []
        more = 0
        for chunk in self._out:
            if isinstance(chunk, FileRegion):
                if len(chunk) > _COPIED:
                    more = _MSG_MORE  # the file follows at once: no small packet for what is before it
                    break
                data = chunk.read()
                if len(data) < len(chunk):
                    raise OSError(errno.EIO, _SHORTER)
                buffers.append(data)
            else:
                buffers.append(chunk)
            if len(buffers) == _MAX_BUFFERS:
                break
        if len(buffers) == 1:
            return self._sock.send(buffers[0], more)
        return self._sock.sendmsg(buffers, (), more)

    def _drop(self, sent: int) -> None:
        """Forget the first ``sent`` bytes of what waits to be sent."""
        out = self._out
        self._out_bytes -= sent
        while sent:
            first = out[0]
            size = len(first)
            if sent < size:
                if isinstance(first, FileRegion):
                    first.offset += sent
                    first.length -= sent
                else:
                    out[0] = memoryview(first)[sent:]
                return
            sent -= size
            out.popleft()
        while out and not len(out[0]):
            out.popleft()

    # --- end ------------------------------------------------------------------------------------------------

    @property
    def is_closed(self) -> bool:
        return self._closed

    def close(self, reason: str) -> None:
        """End this connection; what it waited for stays with its owner until that times out."""
        if self._closed:
            return
        self._closed = True
        if reason.startswith("closed by"):
            log.debug("connection %s: %s", self.peer, reason)
        else:
            self.server.tell(self, reason)
        if self._reading:
            self.server.loop.remove_reader(self.fd)
        if self._writing:
            self.server.loop.remove_writer(self.fd)
        self._sock.close()
        self._out.clear()
        self._give_back()
        self._buffer = bytearray()
        self._filled = 0
        self._parked = None
        self.on_ahead = None
        if self.on_gone is not None:
            on_gone, self.on_gone = self.on_gone, None
            on_gone()
        self.server.forget(self)


def _name(slot: int) -> str:
    return "API {} version {}".format(*key_and_version(slot))
