"""Who may ask what: the first thing that every request meets.

- ``Host`` must be an address, ``localhost`` or a name that was allowed: a page from elsewhere that makes its own name
  point at this machine (DNS rebinding) is refused.
- Requests for data that a browser sends on behalf of another site (``Sec-Fetch-Site``) are refused.
- With a token everything but the page that asks for it is refused without. The token comes once, in the address or in
  the form; then a cookie that is made from it, and is no use elsewhere, stands for it.
- What changes anything must come from this very page: same origin, and a header that no form of another site can send.

Answers get headers that keep a browser from running, framing or guessing anything.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["CHANGE_HEADER", "Guard", "host_name", "is_loopback", "refusal"]

CHANGE_HEADER: Final = "x-rota-change"
LEAST_TOKEN: Final = 16
COOKIE_S: Final = 30 * 24 * 3600

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
]

_OPEN: Final = ("/login", "/static/")
"""What is shown without a token: the page that asks for it, and how it looks."""


def host_name(authority: str) -> str:
    """The host of ``host:port``, in lower case, an IPv6 address without its brackets; "" for what is none."""
    name, _, port = authority.rpartition(":") if not authority.endswith("]") else (authority, "", "")
    if not name:
        name, port = authority, ""
    if port and not (port.isascii() and port.isdigit()):
        return ""
    if name.startswith("[") and name.endswith("]"):
        return name[1:-1].lower()
    return "" if ":" in name else name.lower().rstrip(".")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address that a server listens on."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def refusal(status: HTTPStatus, words: str) -> Response:
    """One line of text."""
    return PlainTextResponse(f"{words}\n", status_code=status, headers={"cache-control": "no-store"})


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, *, token: str | None, hosts: Iterable[str] = ()) -> None:
        self._app = app
        self._token = token
        self._hosts = {"localhost", *(name.lower().rstrip(".") for name in hosts)}
        self.change_secret = secrets.token_urlsafe(24)
        """What `CHANGE_HEADER` must say; the page is told it, and pages from elsewhere cannot read it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        answer = self._refused(request) or self._let_in(request)
        guarded = _with_headers(send)
        await (answer or self._app)(scope, receive, guarded)

    def _refused(self, request: Request) -> Response | None:
        """What is wrong whoever asks."""
        hosts = request.headers.getlist("host")
        if len(hosts) != 1 or not self._knows(host_name(hosts[0])):
            return refusal(
                HTTPStatus.MISDIRECTED_REQUEST,
                "this address is not one of Rota's: use its IP address or localhost, or start `rota web` with "
                "--allow-host NAME",
            )
        if request.method not in ("GET", "HEAD", "POST"):
            return refusal(HTTPStatus.METHOD_NOT_ALLOWED, "only GET and POST are known here")
        site = request.headers.get("sec-fetch-site", "none")
        if request.url.path.startswith("/api/") and site not in ("same-origin", "none"):
            return refusal(HTTPStatus.FORBIDDEN, "another site may not ask for this")
        if request.method == "POST" and not self._is_own(request, hosts[0]):
            return refusal(HTTPStatus.FORBIDDEN, "this did not come from Rota's own page: load it again")
        return None

    def _knows(self, name: str) -> bool:
        try:
            ipaddress.ip_address(name.partition("%")[0])
        except ValueError:
            return name in self._hosts
        return True

    def _is_own(self, request: Request, host: str) -> bool:
        """Same origin; and, but for the form of the token, the header with this run's secret.

        A form says nothing of its origin where no referrer is sent; then ``Sec-Fetch-Site`` does.
        """
        origin = request.headers.get("origin", "").lower()
        same = origin in (f"http://{host}".lower(), f"https://{host}".lower())
        if request.url.path == "/login":
            return same or (origin == "null" and request.headers.get("sec-fetch-site") == "same-origin")
        return same and _same(request.headers.get(CHANGE_HEADER, ""), self.change_secret)

    def _let_in(self, request: Request) -> Response | None:
        """None where the token is not asked for or was shown; else what to answer."""
        if self._token is None:
            return None
        if request.method == "GET" and "token" in request.query_params:
            return self._token_in_address(request)
        if request.url.path.startswith(_OPEN) or self._is_known(request):
            return None
        if request.url.path.startswith("/api/"):
            return refusal(HTTPStatus.UNAUTHORIZED, "the token is missing or wrong: load the page again")
        where = urlencode({"to": _path(request, request.query_params.multi_items())})
        return RedirectResponse(f"/login?{where}", status_code=HTTPStatus.SEE_OTHER)

    def _token_in_address(self, request: Request) -> Response:
        """Out of the address bar with it, and of the history."""
        kept = [(key, value) for key, value in request.query_params.multi_items() if key != "token"]
        if not self.is_token(request.query_params["token"]):
            where = urlencode({"to": _path(request, kept), "wrong": "1"})
            return RedirectResponse(f"/login?{where}", status_code=HTTPStatus.SEE_OTHER)
        answer = RedirectResponse(_path(request, kept), status_code=HTTPStatus.SEE_OTHER)
        self.remember(answer, request)
        return answer

    def is_token(self, said: str) -> bool:
        """Whether that is the token; how long it takes does not say how much of it is right."""
        return self._token is not None and _same(said, self._token)

    def remember(self, answer: Response, request: Request) -> None:
        """Give the browser its cookie."""
        answer.set_cookie(
            _cookie_name(request),
            self._cookie(),
            max_age=COOKIE_S,
            httponly=True,
            samesite="lax",  # a link to a moment, followed from a chat, must not ask for the token again
            secure=request.url.scheme == "https",
        )
        answer.headers["cache-control"] = "no-store"

    def _is_known(self, request: Request) -> bool:
        bearer = request.headers.get("authorization", "")
        if bearer[:7].lower() == "bearer " and self.is_token(bearer[7:].strip()):
            return True
        return _same(request.cookies.get(_cookie_name(request), ""), self._cookie())

    def _cookie(self) -> str:
        assert self._token is not None
        return hmac.new(
            self._token.encode(), b"rota web: a browser that knows the token", hashlib.sha256
        ).hexdigest()


def _cookie_name(request: Request) -> str:
    """Cookies do not know ports; two of Rota's on one machine do not take each other's."""
    return f"rota-{request.url.port or 80}"


def _path(request: Request, query: list[tuple[str, str]]) -> str:
    """Path and query as the browser sent them. One slash in front: two would be another machine's name."""
    path = "/" + request.scope.get("raw_path", b"/").decode("latin-1").lstrip("/\\")
    return f"{path}?{urlencode(query)}" if query else path


def _same(said: str, right: str) -> bool:
    return hmac.compare_digest(said.encode("utf-8", "replace"), right.encode())


def _with_headers(send: Send) -> Send:
    async def guarded(event: Message) -> None:
        if event["type"] == "http.response.start":
            event["headers"] = [*event.get("headers", ()), *_HEADERS]
        await send(event)

    return guarded
