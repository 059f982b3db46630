"""One pod: it reads the topic of notifications and sends an e-mail for each, four at once.

Three things keep an e-mail from going out twice, whatever happens to a pod:

- the ledger: who wants to send claims the notification first. A notification that is done is not sent again;
- the question: a claim whose pod was killed or frozen says nothing about the e-mail. So the next pod asks the mail
  server whether it has that Message-ID;
- the connection: it is opened *before* the claim, and the mail server hangs up on who is silent for longer than the
  claim is worth. A pod that was frozen after it had claimed wakes up to a connection that is gone.
"""

from __future__ import annotations

import argparse
import logging
import smtplib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from examples.children import end_with_parent, report
from examples.notifications.mail import accepted, email

from rota.consumer import App, Observer, Record, Retry
from rota.consumer.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.model import TopicPartition

AT_ONCE = 4
MAIL_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Notification:
    """What is asked for, in JSON."""

    id: str
    customer: str


class Pod:
    """``handle`` sends one e-mail, or finds that it was sent."""

    def __init__(self, name: str, mail_port: int, folder: Path, ledger: Ledger) -> None:
        self._name = name
        self._mail_port = mail_port
        self._folder = folder
        self._ledger = ledger

    def handle(self, record: Record[Notification]) -> None:
        """Claim, send, done."""
        which = record.value.id
        with (
            smtplib.SMTP("127.0.0.1", self._mail_port, timeout=MAIL_TIMEOUT_S) as mail_server,
            self._ledger.once(which, verify=self._was_accepted) as claim,
        ):
            if not claim:
                report("done already", id=which)
                return
            mail_server.ehlo()
            claim.renew()  # from here on the connection must not outlive the claim
            report("sending", id=which)
            mail_server.send_message(email(which, record.value.customer, self._name))
        report("sent", id=which)

    def _was_accepted(self, which: str) -> bool:
        """Asked about a claim that somebody else left open."""
        found = accepted(self._folder, which)
        report("asked", id=which, accepted=found)
        return found


class Reporter(Observer):
    """Which partitions this pod reads."""

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        report("assigned", partitions=[partition.partition for partition in partitions])

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        report("revoked", partitions=[partition.partition for partition in partitions])

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        report("lost", partitions=[partition.partition for partition in partitions])


def main() -> None:
    """Send until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--session-ms", type=int, required=True)
    parser.add_argument("--mail-port", type=int, required=True)
    parser.add_argument("--mailbox", type=Path, required=True)
    parser.add_argument("--ledger", required=True, help="a file for SQLite, or postgresql://…")
    parser.add_argument("--lease", type=float, required=True, help="seconds that a claim is worth")
    options = parser.parse_args()
    end_with_parent()
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    ledger = Ledger(options.ledger, lease_s=options.lease, ambiguous="verify")
    app = App(
        {
            "bootstrap.servers": options.bootstrap,
            "client.id": options.name,
            "group.id": options.topic,
            "session.timeout.ms": options.session_ms,
            "heartbeat.interval.ms": options.session_ms // 3,
        },
        order="key",
        concurrency=AT_ONCE,
        observer=Reporter(),
    )
    pod = Pod(options.name, options.mail_port, options.mailbox, ledger)
    app.handler(options.topic, retry=Retry(attempts=20, backoff=(0.2, 5.0)))(pod.handle)
    app.run()


if __name__ == "__main__":
    main()
