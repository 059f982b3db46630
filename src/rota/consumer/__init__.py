"""The consumer that survives: handlers instead of a poll loop.

from rota.consumer import App

app = App({"bootstrap.servers": "127.0.0.1:9092", "group.id": "billing"}, order="key", concurrency=64)

@app.handler("orders")
def handle(record, context):
    charge(record.key, record.value)  # returning means done, raising that it failed

app.run()
"""

from rota.consumer.app import App
from rota.consumer.context import Context
from rota.consumer.handlers import Batch
from rota.consumer.policy import Retry, skip
from rota.consumer.record import Record, Records
from rota.consumer.running import Running
from rota.consumer.state import Limits, Observer

__all__ = ["App", "Batch", "Context", "Limits", "Observer", "Record", "Records", "Retry", "Running", "skip"]
