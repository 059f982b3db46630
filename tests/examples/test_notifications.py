"""`examples/notifications`: whatever happens to the pods, the mail server has each e-mail once."""

from __future__ import annotations

import os
import random
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from examples.notifications.mail import message_id
from examples.notifications.scene import Settings, play
from tests.kafka.ports import PATIENCE_S

if TYPE_CHECKING:
    from tests.brokers import BrokerUnderTest

CHECKOUT = Path(__file__).parents[2]
ROUNDS = 2


def quick(bootstrap: str, ledger: str | None = None) -> Settings:
    """E-mails of 50 ms; the seed is another one each time, and told."""
    return Settings(
        bootstrap=bootstrap,
        topic=f"notifications-{os.getpid()}-{uuid.uuid4().hex[:6]}",
        email_s=0.05,
        rate=30,
        session_s=3,
        ledger=ledger,
        seed=random.randrange(1_000_000),
        patience_s=PATIENCE_S,
    )


def check(settings: Settings) -> None:
    account, _ = play(settings)
    assert account.lost == []
    assert account.twice == []
    assert set(account.by_message()) == set(map(message_id, account.story.asked_for))
    assert [accident.kind for accident in account.story.accidents] == ["kill", "freeze"]
    assert len(account.by_pod()) == 5


@pytest.mark.parametrize("attempt", range(ROUNDS))
def test_none_is_lost_and_none_is_sent_twice(broker: BrokerUnderTest, attempt: int) -> None:
    check(quick(broker.bootstrap_servers))
