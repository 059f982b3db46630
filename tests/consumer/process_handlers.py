"""Handlers that worker processes import. What they did they write to a file, one write an entry."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from rota.consumer.context import Context
from rota.consumer.core.policy import skip
from rota.consumer.record import Record, Records
from rota.consumer.workers.process_child import Asking
from rota.consumer.workers.runners import BatchError, Done, each, in_batches

JOURNAL = "ROTA_TEST_JOURNAL"


def work_of(handle: Any, ours: Asking) -> Any:
    """What a child does, as `functools.partial(work_of, handler)`."""
    return each(handle, value, lambda task: Context(ours, task))  # type: ignore[arg-type]


def batch_work_of(handle: Any, ours: Asking) -> Any:
    return in_batches(handle, value, lambda task: Context(ours, task))  # type: ignore[arg-type]


def refuses_to_load(ours: Asking) -> Any:
    raise ImportError("no module named antigravity2")


def value(message: Any) -> Any:
    return message.value()


def note(*words: object) -> None:
    with Path(os.environ[JOURNAL]).open("ab", buffering=0) as journal:
        journal.write((" ".join(map(str, words)) + "\n").encode())


def notes() -> list[list[str]]:
    path = Path(os.environ[JOURNAL])
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def told(what: str, record: Record[Any], *more: object) -> None:
    note(what, record.partition, record.offset, (record.key or b"-").decode(), *more)


def journals(record: Record[Any], context: Context) -> None:
    told("begin", record)
    told("done", record)


def does_nothing(record: Record[Any], context: Context) -> None:
    pass


def tells_its_process(record: Record[Any], context: Context) -> None:
    told("done", record, os.getpid(), os.getppid(), context.attempt)


def waits_until_released(record: Record[Any], context: Context) -> None:
    """Those whose key is "waits": until the journal says that they may go on."""
    told("begin", record)
    while record.key == b"waits" and not released():
        time.sleep(0.002)
    told("done", record)


def released() -> bool:
    return any(words[0] == "release" for words in notes())


def waits_for_the_rebalance(record: Record[Any], context: Context) -> None:
    told("begin", record)
    while record.partition == 1 and not released() and not context.revoking:
        time.sleep(0.002)
    told("done", record, context.revoking)


class UnpicklableError(Exception):
    def __init__(self, lock: object, code: int) -> None:
        super().__init__(f"code {code}")
        self.lock = lock


class TwoArgumentsError(Exception):
    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what}: {why}")


def fails(record: Record[Any], context: Context) -> None:
    told("begin", record)
    if record.offset == 5 and context.attempt < 3:
        told("failed", record)
        raise {
            b"value": ValueError("a value"),
            b"unpicklable": UnpicklableError(threading.Lock(), 7),
            b"two": TwoArgumentsError("disk", "full"),
            b"local": local_error(),
            b"exit": SystemExit(3),
            b"interrupt": KeyboardInterrupt(),
            b"timeout": TimeoutError(),
            b"skip": skip("not ours"),
        }[record.key or b""]
    told("done", record)


def local_error() -> Exception:
    class LocalError(Exception):
        pass

    return LocalError("only here")


def dies(record: Record[Any], context: Context) -> None:
    """The record at offset 5 kills its process, in the way that its key names, twice."""
    told("begin", record)
    if record.offset == 5 and context.attempt < 3:
        told("died", record, os.getpid())
        if record.key == b"exit":
            os._exit(9)
        if record.key == b"segfault":
            ctypes.string_at(0)
        os.kill(os.getpid(), signal.SIGKILL)
    told("done", record)


def starts_a_program_and_dies(record: Record[Any], context: Context) -> None:
    """The program outlives its parent, and has inherited nothing of it that matters."""
    if record.offset == 0 and context.attempt == 1:
        program = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], close_fds=False)
        note("program", program.pid)
        os._exit(1)
    told("done", record)


def in_parts(records: Records[Any], context: Context) -> Done | None:
    for record in records[:3]:
        told("done", record)
    if len(records) > 3:
        return Done(records[2])
    return None


def batch_waits_for_the_rebalance(records: Records[Any], context: Context) -> None:
    for record in records:
        told("begin", record)
    while not released() and not context.revoking:
        time.sleep(0.002)
    for record in records:
        told("done", record, context.revoking)


def one_of_a_batch_fails(records: Records[Any], context: Context) -> None:
    for record in records:
        if record.offset == 5 and context.attempt == 1:
            raise BatchError(record) from OSError("the disk")
        told("done", record)


def computes_a_millisecond(record: Record[Any], context: Context) -> None:
    total = 0
    for number in range(25_000):
        total += number * number
