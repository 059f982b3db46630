"""Loopback ports for a server that cannot report the port it got.

A port from the kernel's own range for outgoing connections is a trap: a client that polls such a port before
anybody listens can be connected to itself and so take the port away. Ports are therefore picked below that
range, and a server counts as up when the kernel lists its port as LISTEN, not when a connection succeeds.
"""

import random
import socket
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_S = 120.0
"""How long a test waits for what must happen. A busy machine of two cores can be very slow, above all with Apache
Kafka; a test that passes does not wait longer for it.
"""

_FIRST, _LAST = 20_000, 32_000
_LISTEN = "0A"


def free_ports(count: int) -> list[int]:
    """`count` different ports of 127.0.0.1 that nobody uses at the moment."""
    found: list[int] = []
    for port in random.sample(range(_FIRST, _LAST), k=2_000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("no free loopback port found")


def listening(port: int) -> bool:
    """Whether some process listens on this TCP port of this machine."""
    tables = [table for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")) if table.exists()]
    if not tables:  # macOS: no such table, and its ephemeral ports start at 49152
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", port)) == 0
    suffix = f":{port:04X}"
    for table in tables:
        for line in table.read_text().splitlines()[1:]:
            fields = line.split()
            if fields[1].endswith(suffix) and fields[3] == _LISTEN:
                return True
    return False


def wait_until(
    what: str, condition: Callable[[], object], timeout_s: float = PATIENCE_S, every_s: float = 0.05
) -> None:
    """Poll `condition` until it is true; a TimeoutError that says `what` was awaited otherwise."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {timeout_s:g} s still waiting: {what}")
        time.sleep(every_s)
