"""`rota broker` that writes down every request it reads, for `tests.fuzz.record`; a file a process in $ROTA_RECORD."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import IO, Any

from rota.broker.connection import Connection
from rota.cli import main


def _record(sink: IO[str]) -> None:
    serve = Connection._serve
    seen: set[tuple[bytes, str, int]] = set()

    def record(connection: Connection, frame: memoryview, **more: Any) -> None:
        serve(connection, frame, **more)  # first: of a client's own ApiVersions we want to know whose it is
        software = connection.state.get("software")
        client = software[0] if isinstance(software, tuple) else "unnamed"
        # Of what differs only in what a client counts (correlation ids, offsets) a few are enough.
        kind = (bytes(frame[:4]), client, len(frame))
        if kind not in seen:
            seen.add(kind)
            sink.write(f"{client} {base64.b64encode(frame).decode()}\n")

    Connection._serve = record  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    directory = Path(os.environ["ROTA_RECORD"])
    with (directory / f"{os.getpid()}.txt").open("w", buffering=1) as sink:
        _record(sink)
        main()
