"""Kafka for tests: a real broker that starts in milliseconds, and that a test can steer.

with rota.testing.Broker() as broker:
    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "g"})
"""

from rota.testing.broker import Broker

__all__ = ["Broker"]
