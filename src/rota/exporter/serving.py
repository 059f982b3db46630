"""The exporter at work: a `Watch`, a page that is made after each look, and a server that never waits for either."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from http import HTTPStatus
from types import TracebackType
from typing import Self

from rota.exporter.kafka_exporter import KafkaExporter
from rota.exporter.kafka_lag_exporter import KafkaLagExporter
from rota.exporter.kminion import KMinion
from rota.exporter.native import Native
from rota.exporter.page import Page
from rota.exporter.style import Style
from rota.exporter.text import CONTENT_TYPE
from rota.http_server import Request, Response, Server
from rota.model import RotaError
from rota.watching.looking import Seen
from rota.watching.watch import Watch

__all__ = ["STYLES", "Exporter", "accepts_gzip", "styles"]

log = logging.getLogger(__name__)

STYLES: dict[str, Callable[[str], Style]] = {
    "native": lambda _: Native(),
    "kafka_exporter": lambda _: KafkaExporter(),
    "kafka-lag-exporter": KafkaLagExporter,
    "kminion": lambda _: KMinion(),
}
"""How each is made, from the cluster's name."""

INDEX = "rota exporter: /metrics for Prometheus, /health for probes"


def styles(names: Sequence[str], cluster: str) -> list[Style]:
    """These styles of metrics, each once."""
    return [STYLES[name](cluster) for name in dict.fromkeys(names)]


class Exporter:
    """Serves from its making on. ``told`` hears of every look, in a thread of the exporter's."""

    def __init__(
        self,
        watch: Watch,
        page: Page,
        host: str,
        port: int,
        told: Callable[[Seen], None] | None = None,
    ) -> None:
        self._watch = watch
        self._page = page
        self._told = told
        self._closing = False
        self._server = Server(self._answer, host, port)
        self._thread = threading.Thread(target=self._run, name="rota-exporter", daemon=True)
        self._server.start()
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.port

    def close(self) -> None:
        """Serve no more; the watch is its owner's."""
        self._closing = True
        self._server.close()

    def _run(self) -> None:
        number = 0
        while not self._closing:
            found = self._watch.wait(number)
            if found == number:  # it was closed
                return
            seen = self._watch.seen
            number = seen.number
            try:
                self._page.update(seen)
            except Exception as error:  # rather no series of groups than those of long ago
                log.exception("the page could not be made")
                failure = RotaError(
                    f"the page could not be made: {error!r} (a mistake of Rota's; the log tells more)"
                )
                seen = Seen(number, failure=failure)
                self._page.update(seen)
            self._tell(seen)

    def _tell(self, seen: Seen) -> None:
        """Whoever is told may be unable to hear (a closed pipe): the next page is made all the same."""
        if self._told is None:
            return
        try:
            self._told(seen)
        except Exception:
            log.exception("a look could not be told of")

    def _answer(self, request: Request) -> Response:
        if request.path == "/metrics":
            return self._metrics(request)
        if request.path == "/health":
            return self._health()
        if request.path == "/":
            return Response.of(HTTPStatus.OK, INDEX)
        return Response.of(HTTPStatus.NOT_FOUND)

    def _metrics(self, request: Request) -> Response:
        vary = ("Vary", "Accept-Encoding")
        if accepts_gzip(request.headers.get("accept-encoding", "")):
            headers = (vary, ("Content-Encoding", "gzip"))
            return Response(HTTPStatus.OK, self._page.packed(), CONTENT_TYPE, headers)
        return Response(HTTPStatus.OK, self._page.text(), CONTENT_TYPE, (vary,))

    def _health(self) -> Response:
        seen = self._watch.seen
        if seen.number == 0:
            return Response.of(HTTPStatus.SERVICE_UNAVAILABLE, "no look at the cluster has ended yet")
        if seen.failure is not None:
            return Response.of(HTTPStatus.SERVICE_UNAVAILABLE, f"the last look failed: {seen.failure}")
        return Response.of(HTTPStatus.OK, f"{len(seen.views)} groups")


def accepts_gzip(wanted: str) -> bool:
    """Whether an ``Accept-Encoding`` takes gzip (RFC 9110, section 12.5.3)."""
    for choice in wanted.lower().split(","):
        name, _, parameters = choice.partition(";")
        if name.strip() in {"gzip", "x-gzip", "*"}:
            weight = parameters.replace(" ", "").removeprefix("q=")
            return weight.strip("0.") != "" if parameters else True
    return False
