"""The web application: which address answers with what.

Pages are one HTML file; which group is shown the browser reads from its address. Data are under ``/api``: the same
document once (``/api/groups``, ``/api/group?name=…``) or again and again as events (``/api/events?group=…``).
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from rota.model import RotaError
from rota.timeline.look import PATTERNS
from rota.web.body import read_form, read_json
from rota.web.feed import Feed, encode
from rota.web.files import Files
from rota.web.guard import CHANGE_HEADER, Guard, refusal
from rota.web.stream import MOST_STREAMS, serve_stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from rota.web.changes import Changes
    from rota.web.feed import Look, Source

__all__ = ["FIRST_LOOK_S", "Site", "make_app"]

FIRST_LOOK_S: Final = 20.0
"""How long a request for a document waits for the first look at the cluster."""


class Site:
    """Everything that answers; one a server. ``changes`` None: nothing can be changed."""

    def __init__(self, source: Source, *, cluster: str, interval_s: float, changes: Changes | None) -> None:
        self.feed = Feed(source, interval_s=interval_s)
        self.change_secret = ""
        self.guard: Guard | None = None
        self._cluster = cluster
        self._changes = changes
        self._files = Files()
        self._streams = 0

    async def page(self, request: Request) -> Response:
        """The one page; it finds out by its address what to show."""
        return self._file("index.html", request)

    async def static(self, request: Request) -> Response:
        """A file of the page's."""
        return self._file(request.path_params["name"], request)

    async def session(self, _request: Request) -> Response:
        """What the page needs to know once."""
        return _json(
            {
                "cluster": self._cluster,
                "boot": self.feed.boot,
                "interval_s": self.feed.interval_s,
                "patterns": list(PATTERNS),
                "changes": self._changes is not None and self._changes.allowed,
                "can_plan": self._changes is not None,
                "header": CHANGE_HEADER,
                "secret": self.change_secret,
            }
        )

    async def groups(self, _request: Request) -> Response:
        """The list, once."""
        look = await self._look()
        if look is None:
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the cluster has not answered yet")
        frame = await self.feed.frame(look, "")
        return Response(b"[%s]" % b",".join(frame.values()), media_type="application/json", headers=_FRESH)

    async def group(self, request: Request) -> Response:
        """One group, once."""
        look = await self._look()
        if look is None:
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the cluster has not answered yet")
        name = request.query_params.get("name", "")
        frame = await self.feed.frame(look, name) if name else {}
        if not frame:
            return refusal(HTTPStatus.NOT_FOUND, "there is no group of this name")
        body = b",".join(encode(key) + b":" + value for key, value in frame.items())
        return Response(b"{%s}" % body, media_type="application/json", headers=_FRESH)

    async def login(self, request: Request) -> Response:
        """The page that asks for the token, and where its form goes."""
        if request.method != "POST":
            return self._file("login.html", request)
        guard = self.guard
        form = await read_form(request)
        wanted = form.get("to", "/")
        safe = wanted if wanted.startswith("/") and wanted[1:2] not in ("/", "\\") else "/"
        if guard is None or not guard.is_token(form.get("token", "")):
            again = urlencode({"to": safe, "wrong": "1"})
            return RedirectResponse(f"/login?{again}", status_code=HTTPStatus.SEE_OTHER)
        answer = RedirectResponse(safe, status_code=HTTPStatus.SEE_OTHER)
        guard.remember(answer, request)
        return answer

    def change(self, what: str) -> Callable[[Request], Awaitable[Response]]:
        """What answers a request to preview a change, to do it, or to tell what became of it."""

        async def answer(request: Request) -> Response:
            if self._changes is None:
                return refusal(HTTPStatus.FORBIDDEN, "nothing can be changed here")
            document = await read_json(request)
            return _json(await run_in_threadpool(getattr(self._changes, what), document))

        return answer

    async def events(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The stream of the list, or of one group."""
        from starlette.requests import Request

        if self._streams >= MOST_STREAMS:
            words = f"{MOST_STREAMS} pages are open already: close one"
            await refusal(HTTPStatus.SERVICE_UNAVAILABLE, words)(scope, receive, send)
            return
        self._streams += 1
        try:
            group = Request(scope).query_params.get("group", "")
            with self.feed.watched(group):
                await serve_stream(self.feed, group, scope, receive, send)
        finally:
            self._streams -= 1

    async def _look(self) -> Look | None:
        latest = self.feed.latest
        return latest if latest.number else await self.feed.after(0, FIRST_LOOK_S)

    def _file(self, name: str, request: Request) -> Response:
        found = self._files.answer(name, request)
        return found or refusal(HTTPStatus.NOT_FOUND, "there is nothing here")


class _Events:
    """The stream as an ASGI application of its own, for it writes as long as it is read."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._site.events(scope, receive, send)


def make_app(site: Site, *, token: str | None = None, hosts: Iterable[str] = ()) -> Guard:
    """The application as it is served, behind its guard."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        site.feed.start()
        yield
        site.feed.close()

    get = ["GET"]
    routes = [
        Route("/", site.page, methods=get),
        Route("/group", site.page, methods=get),
        Route("/group/{name:path}", site.page, methods=get),
        Route("/login", site.login, methods=["GET", "POST"]),
        Route("/static/{name}", site.static, methods=get),
        Route("/api/session", site.session, methods=get),
        Route("/api/groups", site.groups, methods=get),
        Route("/api/group", site.group, methods=get),
        Route("/api/events", _Events(site), methods=get),
        Route("/api/reset/preview", site.change("preview"), methods=["POST"]),
        Route("/api/reset/execute", site.change("execute"), methods=["POST"]),
        Route("/api/reset/outcome", site.change("outcome"), methods=["POST"]),
    ]
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={RotaError: _mistake, 404: _nothing, 405: _method},
    )
    app.router.redirect_slashes = False
    guard = Guard(app, token=token, hosts=hosts)
    site.change_secret, site.guard = guard.change_secret, guard
    return guard


_FRESH: Final = {"cache-control": "no-store"}


def _json(value: object) -> Response:
    return Response(encode(value), media_type="application/json", headers=_FRESH)


async def _mistake(_request: Request, error: Exception) -> Response:
    return refusal(HTTPStatus.BAD_REQUEST, " ".join(str(error).split()))


async def _nothing(_request: Request, _error: Exception) -> Response:
    return refusal(HTTPStatus.NOT_FOUND, "there is nothing here")


async def _method(_request: Request, _error: Exception) -> Response:
    return refusal(HTTPStatus.METHOD_NOT_ALLOWED, "this is asked for in another way")
