"""A well-behaved client on the broker under attack: it produces, fetches and comes back, and times the answers."""

from __future__ import annotations

import threading
import time

from tests.broker.raw import RawClient
from tests.fuzz.target import GOOD_TOPIC

from rota.wire.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic
from rota.wire.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from rota.wire.records import build_batch

__all__ = ["GoodClient"]

_PAUSE_S = 0.02
_NEW_CONNECTION_EVERY = 20


class GoodClient:
    """Runs in a thread. ``failure`` says what went wrong, once something has."""

    def __init__(self, address: str, offset: int) -> None:
        self._address = address
        self.offset = offset  # where its next record must be
        self.answers = 0
        self.slowest_s = 0.0
        self.failure: str | None = None
        self._asked_at: float | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def waiting_s(self) -> float:
        """How long it has been waiting for an answer."""
        asked_at = self._asked_at
        return 0.0 if asked_at is None else time.monotonic() - asked_at

    def stop(self, patience_s: float) -> bool:
        """End politely, after the answer that is awaited; False if that has not come yet."""
        self._stopping.set()
        self._thread.join(patience_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                with self._timed_connection() as client:
                    for _ in range(_NEW_CONNECTION_EVERY):
                        self._produce(client)
                        self._fetch(client)
                        if self._stopping.wait(_PAUSE_S):
                            break
        except (OSError, ConnectionError, AssertionError) as error:
            self.failure = f"{type(error).__name__}: {error}"

    def _timed_connection(self) -> RawClient:
        self._asked_at = time.monotonic()
        client = RawClient(self._address)
        self._answered()
        return client

    def _produce(self, client: RawClient) -> None:
        batch = bytes(build_batch([(b"key", b"value", int(time.time() * 1000), ())]))
        data = TopicProduceData(
            name=GOOD_TOPIC, partition_data=[PartitionProduceData(index=0, records=batch)]
        )
        request = ProduceRequest(transactional_id=None, acks=-1, timeout_ms=30_000, topic_data=[data])
        self._asked_at = time.monotonic()
        answer = client.call(request, 9, ProduceResponse).responses[0].partition_responses[0]
        self._answered()
        assert answer.error_code == 0, f"a good batch was refused: {answer}"
        assert answer.base_offset == self.offset, f"offset {answer.base_offset} instead of {self.offset}"
        self.offset += 1

    def _fetch(self, client: RawClient) -> None:
        wanted = FetchPartition(partition=0, fetch_offset=self.offset - 1, partition_max_bytes=4096)
        topic = FetchTopic(topic=GOOD_TOPIC, partitions=[wanted])
        request = FetchRequest(max_wait_ms=0, min_bytes=1, session_epoch=-1, topics=[topic])
        self._asked_at = time.monotonic()
        answer = client.call(request, 11, FetchResponse).responses[0].partitions[0]
        self._answered()
        assert answer.error_code == 0, f"a good fetch was refused: {answer}"
        assert len(answer.records), "the record that was acknowledged is not there"

    def _answered(self) -> None:
        assert self._asked_at is not None
        self.slowest_s = max(self.slowest_s, time.monotonic() - self._asked_at)
        self._asked_at = None
        self.answers += 1
