"""What hooks raise."""

from __future__ import annotations

from collections.abc import Sequence

from rota.consumer.core.hooks import Hooked
from rota.model import TopicPartition


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


class Broken:
    def on_assigned(self, _partitions: Sequence[TopicPartition], /) -> None:
        raise MuteError

    def on_revoked(self, _partitions: Sequence[TopicPartition], _lost: bool, /) -> None:
        raise MuteError


def test_a_hook_that_raises_what_cannot_tell_its_message_stops_the_consumer_in_words() -> None:
    hooked = Hooked(lambda _topic: Broken())
    partitions = [TopicPartition("orders", 0)]
    for name, why in (
        ("on_assigned", hooked.assigned(partitions)),
        ("on_revoked", hooked.revoked(partitions, lost=False)),
    ):
        assert why == f"{name} of Broken raised MuteError: <its message cannot be shown: RuntimeError>"
