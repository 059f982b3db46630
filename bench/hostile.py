"""What one client's misbehaviour costs the others: a producer and a consumer beside it, with it and without it.

The pair keeps five requests of 1 kB under way and reads what it wrote. Each misbehaving client (`bench.attackers`) is
stopped and let go on in turns of less than a second, since what a machine does by itself changes from second to second
by more than what is to be measured; the pair's throughput beside it is told as a share of that in the turns between. It
runs at the lowest priority, so that on a machine with few processors it takes the broker's time but not the pair's.

The pair has the first processor and the broker all others. Where the kernel may choose, pair and broker are now quick
together on one processor or slow on two, and whoever else wakes up, for whatever reason, moves them: one harmless
request every 50 ms then costs a pair a fifth of its throughput, on either broker. That client is measured too: what it
"costs" is the error of the others.
"""

from __future__ import annotations

import itertools
import os
import select
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from bench.attackers import ATTACKS, HARMLESS
from bench.frame import KINDS, Benchmark, Figure, Run
from bench.load import Client, batch_of, create_topic, delete_topic, log_end, produce_frame, read_frame
from bench.raw_fetch import fetch_frame
from tests.children import ending_with_parent

FIGURES = {
    name: Figure(
        f"throughput beside {name}",
        "of without",
        None,
        more_is_better=True,
        least=None if name == HARMLESS else 0.9,
    )
    for name in ATTACKS
}

_ROOT = Path(__file__).parents[1]
_BATCH = 1000
_SETTLE_S, _SLICE_S = 0.1, 0.8
_IN_FLIGHT = 5
_PIECE = 1024 * 1024
_OFFSET = struct.Struct(">q")
_SIZE = struct.Struct(">i")
_MARK = 0x0123456789ABCDEF

_PROCESSORS = os.sched_getaffinity(0)

_numbers = itertools.count()


def run(run: Run) -> None:
    slices = run.choose(6, 2)
    for kind in KINDS:
        run.say(f"  warming up {kind}")
        with _Pair(run.pair[kind].bootstrap_servers) as pair:
            pair.measure(run.choose(5, 2))
    for name in ATTACKS:
        run.say(f"  {name}")
        for kind in run.turns():
            address = run.pair[kind].bootstrap_servers
            beside, without = [], []
            with _apart(run.pair[kind].pid), _Pair(address) as pair, _attacker(name, address) as attacker:
                for _ in range(int(slices)):
                    attacker.send_signal(signal.SIGCONT)
                    time.sleep(_SETTLE_S)
                    beside.append(pair.measure(_SLICE_S))
                    attacker.send_signal(signal.SIGSTOP)
                    time.sleep(_SETTLE_S)
                    without.append(pair.measure(_SLICE_S))
                assert attacker.poll() is None, f"{name} has ended by itself"
            run.add(FIGURES[name], kind, statistics.mean(beside) / statistics.mean(without))
            run.say(
                f"    {kind}: {statistics.mean(without):,.0f} records/s, "
                f"beside {name} {statistics.mean(beside):,.0f}"
            )
    run.close_pair()  # whoever comes next gets brokers that nothing happened to


@contextmanager
def _apart(broker: int) -> Iterator[None]:
    """This process on one processor and the broker on the others, as far as there are any."""
    if len(_PROCESSORS) == 1:
        yield
        return
    first = {min(_PROCESSORS)}
    os.sched_setaffinity(0, first)
    _keep_to(broker, _PROCESSORS - first)
    try:
        yield
    finally:
        _keep_to(broker, _PROCESSORS)
        os.sched_setaffinity(0, _PROCESSORS)


def _keep_to(pid: int, processors: set[int]) -> None:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):  # it has ended
            os.sched_setaffinity(int(thread.name), processors)


@contextmanager
def _attacker(name: str, address: str) -> Iterator[subprocess.Popen[bytes]]:
    command = ending_with_parent([sys.executable, "-m", "bench.attackers", name, address])
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            _keep_to(process.pid, _PROCESSORS)
            assert process.stdout.readline() == b"ready\n", f"{name} could not begin"
            yield process
        finally:
            process.kill()
    time.sleep(0.5)  # what it left behind is taken away


class _Pair:
    """A producer and a consumer on a topic of their own."""

    def __init__(self, address: str) -> None:
        self._producer, self._consumer = Client(address), Client(address)
        self._topic = f"hostile-{next(_numbers)}"
        create_topic(self._producer, self._topic)
        self._produce = produce_frame(self._topic, batch_of(_BATCH))
        self._fetch = bytearray(fetch_frame(self._topic, 0, _PIECE))
        self._offset_at = fetch_frame(self._topic, _MARK, _PIECE).index(_OFFSET.pack(_MARK))
        self._offset = 0
        # An answer without records, and an acknowledgement: all others differ from it in their records only.
        self._consumer.socket.sendall(fetch_frame(self._topic, 0, _PIECE, max_wait_ms=0))
        self._around = len(read_frame(self._consumer.socket))
        self._producer.socket.sendall(self._produce)
        self._acknowledgement = len(read_frame(self._producer.socket))
        self._received = bytearray()
        self._is_asking = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert log_end(self._producer, self._topic) == self._offset, "an answer was no acknowledgement"
        delete_topic(self._producer, self._topic)
        self._producer.socket.close()
        self._consumer.socket.close()

    def measure(self, seconds: float) -> float:
        """Records a second, from the producer to the consumer."""
        began_at = self._offset
        sent = acknowledged = pending = 0
        producer, consumer = self._producer.socket, self._consumer.socket
        with select.epoll() as poll:
            poll.register(producer.fileno(), select.EPOLLIN)
            poll.register(consumer.fileno(), select.EPOLLIN)
            start = time.perf_counter()
            producer.sendall(self._produce * _IN_FLIGHT)
            sent = _IN_FLIGHT
            end = (
                began_at + sent + (1 if began_at == 0 else 0)
            )  # one has been sent before the first measurement
            self._ask(consumer)
            while acknowledged < sent or self._offset < end:
                going_on = time.perf_counter() < start + seconds
                for fd, _ in poll.poll(60):
                    if fd == consumer.fileno():
                        self._consume(consumer, asks_again=going_on or self._offset < end)
                        continue
                    got = len(producer.recv(65_536))
                    answered, pending = divmod(pending + got, self._acknowledgement)
                    acknowledged += answered
                    if going_on and answered:
                        producer.sendall(self._produce * answered)
                        sent += answered
                        end += answered
        return (self._offset - began_at) / (time.perf_counter() - start)

    def _ask(self, consumer: socket.socket) -> None:
        if self._is_asking:
            return
        self._is_asking = True
        _OFFSET.pack_into(self._fetch, self._offset_at, self._offset)
        consumer.sendall(self._fetch)

    def _consume(self, consumer: socket.socket, *, asks_again: bool) -> None:
        self._received += consumer.recv(_PIECE)
        if len(self._received) < 4 or len(self._received) < 4 + _SIZE.unpack_from(self._received)[0]:
            return
        self._offset += (len(self._received) - self._around) // _BATCH
        self._received.clear()
        self._is_asking = False
        if asks_again:
            self._ask(consumer)


BENCHMARK = Benchmark("hostile", "a producer and a consumer beside clients that misbehave", run)
