"""Handlers of batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tests.consumer.stage import P0, P1, Stage

from rota.consumer.clients.client import Message
from rota.consumer.core.policy import DeadLetter, skip
from rota.consumer.handlers import Batch
from rota.consumer.record import Record
from rota.consumer.workers.runners import BatchError, Done


class Letters:
    """Takes everything at once."""

    def __init__(self) -> None:
        self.sent: list[int] = []

    def send(
        self,
        message: Message,
        _failure: BaseException,
        _attempts: int,
        _topic: str,
        delivered: Callable[[str | None], None],
        _wait_ms: int | None = None,
    ) -> None:
        self.sent.append(message.offset())
        delivered(None)

    def serve(self) -> None:
        pass


def record(message: Any) -> Record[Any]:
    return Record(message, repr)


def test_a_batch_waits_for_more_and_no_longer_than_told() -> None:
    stage = Stage(order="partition", batch=Batch(4, 200))
    stage.produce(["a"] * 3)
    stage.go_on(50)
    assert stage.batches == []
    stage.produce(["b"] * 2)
    stage.go_on(20)
    assert stage.batches == [[0, 1, 2, 3]], "full; one waits"
    stage.go_on(170)
    assert stage.batches == [[0, 1, 2, 3]]
    stage.go_on(100)
    assert stage.batches == [[0, 1, 2, 3], [4]]
    assert stage.committed() == 5


def test_a_batch_is_of_one_partition() -> None:
    stage = Stage(batch=Batch(100, 10))
    stage.produce(["a", "b", "c"] * 5)
    stage.produce(["a", "b", "c"] * 5, P1)
    stage.go_on(100)
    assert sorted(stage.done) == [*range(15), *range(1000, 1015)]
    assert all(len({name // 1000 for name in names}) == 1 for names in stage.batches)


def test_what_is_done_of_a_batch_does_not_come_again() -> None:
    def first_two(messages: Sequence[Any]) -> Any:
        return Done(record(messages[min(1, len(messages) - 1)]))

    stage = Stage(order="partition", batch=Batch(5, 0), behaves=first_two)
    stage.produce(["a"] * 5)
    stage.go_on(100)
    assert stage.batches == [[0, 1, 2, 3, 4], [2, 3, 4], [4]]
    assert stage.committed() == 5


def test_a_batch_that_fails_is_tried_again_as_a_whole() -> None:
    stage = Stage(order="partition", batch=Batch(3, 0), attempts=3)
    stage.fails[1] = OSError("not now")
    stage.produce(["a"] * 5)
    stage.fetch()
    stage.work()
    stage.tick()
    stage.fails.clear()
    stage.go_on(100)
    assert stage.batches == [[0, 1, 2], [0, 1, 2], [3, 4]]
    assert stage.committed() == 5


def test_when_all_attempts_have_failed_the_records_are_tried_one_by_one_and_one_alone_goes() -> None:
    letters = Letters()
    stage = Stage(
        order="partition", batch=Batch(4, 0), attempts=2, dead_letter=DeadLetter("dead"), letters=letters
    )
    stage.fails[2] = ValueError("that one")
    stage.produce(["a"] * 6)
    stage.go_on(150)
    assert stage.batches == [[0, 1, 2, 3], [0, 1, 2, 3], [0], [1], [2], [3], [4, 5]]
    assert letters.sent == [2]
    assert stage.committed() == 6


def test_the_record_that_a_handler_names_is_tried_again_by_itself() -> None:
    letters = Letters()

    def third_fails(messages: Sequence[Any]) -> None:
        for message in messages:
            if message.at == 2:
                raise BatchError(record(message)) from ValueError("that one")

    stage = Stage(
        order="partition",
        batch=Batch(4, 0),
        attempts=2,
        dead_letter=DeadLetter("dead"),
        letters=letters,
        behaves=third_fails,
    )
    stage.produce(["a"] * 6)
    stage.go_on(150)
    assert stage.batches == [[0, 1, 2, 3], [2], [3, 4, 5]], "its first attempt was in the batch"
    assert letters.sent == [2]
    assert stage.committed() == 6


def test_a_batch_that_is_skipped_is_done() -> None:
    def nothing_to_do(_messages: Sequence[Any]) -> None:
        raise skip()

    stage = Stage(order="key", batch=Batch(4, 0), behaves=nothing_to_do)
    stage.produce(["a", "b"] * 4)
    stage.go_on(100)
    assert stage.committed() == 8


def test_a_batch_that_runs_when_its_partition_goes_is_waited_for() -> None:
    stage = Stage(order="partition", batch=Batch(4, 0), revoke_drain=1_000)
    stage.produce(["a"] * 8)
    stage.stuck = {3}
    stage.fetch()
    stage.work()

    def soon() -> None:
        if stage.clock.now > 100:
            stage.stuck = set()

    stage.engine.meanwhile = soon
    stage.client.withdraw([P0], lost=False)
    assert stage.committed() == 4, "what had begun; the second batch had not"


def test_a_batch_that_gathers_when_its_partition_goes_is_not_done() -> None:
    stage = Stage(order="partition", batch=Batch(4, 500))
    stage.produce(["a"] * 6)
    stage.go_on(100)
    stage.client.withdraw([P0], lost=False)
    assert stage.committed() == 4
    stage.go_on(600)
    assert stage.batches == [[0, 1, 2, 3]]
