"""A broker that runs: data directory, state and server put together on one event loop, and taken apart again."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import IO, TYPE_CHECKING

from rota.broker.broker import Broker
from rota.broker.clock import Clock
from rota.broker.dispatch import FIRST_APIS
from rota.broker.loop import Loop
from rota.broker.options import BrokerOptions
from rota.broker.server import Server
from rota.broker.settings import Settings
from rota.storage import LogDirectory

if TYPE_CHECKING:
    from rota.timeline.events import Event

__all__ = ["Node", "run"]

log = logging.getLogger(__name__)

# A file of Kafka's settings may have them all the same.
_SAID_BY_OPTIONS = {
    "listeners": "--host and --port",
    "advertised.listeners": "--advertised",
    "log.dir": "--data",
    "log.dirs": "--data",
}


class Node:
    """Open the data directory, load what it remembers, and listen. Raises ``RotaError``."""

    def __init__(
        self,
        options: BrokerOptions,
        loop: Loop,
        *,
        on_event: Callable[[Event], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        options.check()
        settings = Settings({"node.id": "1", **options.configs})
        without_effect = settings.without_effect()
        if without_effect:
            log.info("configs that mean nothing on one node: %s", ", ".join(without_effect))
        for name, option in _SAID_BY_OPTIONS.items():
            if name in options.configs:
                log.warning("config %s has no effect: %s says it", name, option)
        directory = LogDirectory.open(options.data_dir, node_id=settings.int("node.id"))
        try:
            self.broker = Broker(
                settings,
                directory,
                loop,
                on_event=on_event,
                clock=clock,
                prompt_heartbeats=options.prompt_heartbeats,
            )
            self.server = Server(
                self.broker, loop, host=options.host, port=options.port, advertised=options.advertised
            )
        except BaseException:
            directory.close()
            raise
        self.broker.settings.started_with(
            {
                "listeners": f"PLAINTEXT://{_joined(self.server.address)}",
                "advertised.listeners": f"PLAINTEXT://{self.bootstrap_servers}",
                "log.dirs": directory.name,
            }
        )

    @property
    def bootstrap_servers(self) -> str:
        """The address for clients, ``host:port``."""
        return _joined(self.server.advertised)

    def close(self) -> None:
        """End every connection and close the data directory cleanly."""
        self.server.close()
        self.broker.close()


def _joined(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def run(options: BrokerOptions) -> int:
    """Run a broker until SIGTERM or SIGINT; prints one line on stdout when it is ready. The exit code."""
    loop = Loop()
    try:
        if options.timeline is None:
            _serve(options, loop, None)
        else:
            with options.timeline.open("a", encoding="utf-8", buffering=1) as sink:
                _serve(options, loop, _writer(sink))
    finally:
        loop.close()
    return 0


def _serve(options: BrokerOptions, loop: Loop, on_event: Callable[[Event], None] | None) -> None:
    node = Node(options, loop, on_event=on_event)
    try:
        # Before anyone can know that there is somebody to stop.
        loop.stop_on_signals(signal.SIGTERM, signal.SIGINT)
        log.info("listening on %s:%d, data: %s", *node.server.address, options.data_dir or "memory only")
        _say_ready(node)
        _warm_up(node, loop)
        loop.run_forever()
        log.info("shutting down")
    finally:
        node.close()


def _warm_up(node: Node, loop: Loop) -> None:
    """Load what the first requests will need while the first client is still connecting, a piece at a time."""
    keys = iter(FIRST_APIS)

    def load_next() -> None:
        for key in keys:
            node.server.dispatch.warm(key)
            loop.call_soon(load_next)  # whoever has asked for something already goes first
            return
        _ = node.broker.groups
        gc.freeze()  # what exists now stays for good: full collections need not look at it
        gc.enable()

    loop.call_soon(load_next)


def _say_ready(node: Node) -> None:
    try:
        print(f"rota broker ready on {node.bootstrap_servers}", flush=True)  # noqa: T201 - its one line
    except OSError:  # nobody reads it, or it cannot be written; the log on stderr says the address too
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _writer(sink: IO[str]) -> Callable[[Event], None]:
    from rota.timeline.events import to_json

    def write(event: Event) -> None:
        sink.write(to_json(event) + "\n")

    return write
