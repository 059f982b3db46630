"""A real SMTP server that takes its time: it accepts an e-mail half a second after it came, into a Maildir."""

from __future__ import annotations

import argparse
import asyncio
import mailbox
from email import message_from_bytes
from pathlib import Path
from typing import TYPE_CHECKING

from aiosmtpd.smtp import SMTP
from examples.children import end_with_parent, report
from examples.notifications.mail import SENT_BY

if TYPE_CHECKING:
    from aiosmtpd.smtp import Envelope, Session


class Accepting:
    """What the server does with an e-mail; a client that goes away while it waits has not sent it."""

    def __init__(self, folder: Path, takes_s: float) -> None:
        self._mailbox = mailbox.Maildir(folder)
        self._takes_s = takes_s

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Wait, keep it, say so. From its file on it is accepted, whether anybody hears the 250 or not."""
        await asyncio.sleep(self._takes_s)
        content = envelope.original_content or b""
        self._mailbox.add(content)
        mail = message_from_bytes(content)
        report("accepted", message_id=mail["Message-ID"], pod=mail[SENT_BY])
        return "250 OK"


async def serve(folder: Path, takes_s: float, idle_s: float) -> None:
    """Until the process ends; ``idle_s``: a client that says nothing for so long is hung up on."""
    handler = Accepting(folder, takes_s)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(handler, hostname="mail.example", loop=loop, timeout=idle_s), "127.0.0.1", 0
    )
    report("ready", port=server.sockets[0].getsockname()[1])
    await server.serve_forever()


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mailbox", type=Path, required=True)
    parser.add_argument("--takes", type=float, required=True, help="seconds before an e-mail is accepted")
    parser.add_argument("--idle", type=float, required=True, help="seconds that a client may be silent")
    options = parser.parse_args()
    end_with_parent()
    asyncio.run(serve(options.mailbox, options.takes, options.idle))


if __name__ == "__main__":
    main()
