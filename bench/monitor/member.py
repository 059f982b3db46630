"""A member of a group, in a process of its own, that does what it is told on standard input.

``python -m bench.monitor.member '{"bootstrap.servers": …}' topic,topic`` polls until it is told otherwise, one command
a line: ``stall`` (stop polling, as a handler that hangs), ``go`` (poll again), ``topics a,b`` (another subscription),
``leave`` (close, and end).
"""

from __future__ import annotations

import json
import queue
import sys
import threading

from confluent_kafka import Consumer


def main() -> None:
    config, topics = json.loads(sys.argv[1]), sys.argv[2].split(",")
    orders: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    consumer = Consumer(config)
    consumer.subscribe(topics)
    polling = True
    while True:
        try:
            order = orders.get(timeout=0) if polling else orders.get()
        except queue.Empty:
            order = ""
        if order == "leave":
            break
        if order == "stall":
            polling = False
        elif order == "go":
            polling = True
        elif order.startswith("topics "):
            consumer.subscribe(order.removeprefix("topics ").split(","))
        if polling:
            consumer.poll(0.05)
    consumer.close()


def _listen(orders: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        orders.put(line.strip())
    orders.put("leave")


if __name__ == "__main__":
    main()
