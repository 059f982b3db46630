"""The e-mails, and the mailbox in which the mail server keeps those that it has accepted."""

from __future__ import annotations

import mailbox
from collections import Counter
from email.message import EmailMessage
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SENT_BY", "accepted", "accepted_mails", "email", "message_id"]

SENT_BY = "X-Sent-By"


def message_id(notification: str) -> str:
    """Always the same for one notification, whoever sends it: by it one can ask whether it was sent."""
    return f"<{notification}@notifications.example>"


def email(notification: str, customer: str, pod: str) -> EmailMessage:
    """What is sent."""
    message = EmailMessage()
    message["Message-ID"] = message_id(notification)
    message["From"] = "shop@notifications.example"
    message["To"] = f"{customer}@customers.example"
    message["Subject"] = "Your order is on its way"
    message[SENT_BY] = pod
    message.set_content(f"Notification {notification}\n")
    return message


def accepted(folder: Path, notification: str) -> bool:
    """Whether the mail server has this e-mail: the question that an IMAP search or a provider's API answers."""
    wanted = message_id(notification)
    return any(mail["Message-ID"] == wanted for mail in mailbox.Maildir(folder, create=False))


def accepted_mails(folder: Path) -> Counter[tuple[str, str]]:
    """How often the mail server has accepted which Message-ID from which pod."""
    return Counter(
        (str(mail["Message-ID"]), str(mail[SENT_BY])) for mail in mailbox.Maildir(folder, create=False)
    )
