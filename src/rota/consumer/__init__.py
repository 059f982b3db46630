"""The consumer that survives: handlers instead of a poll loop.

from rota.consumer import App

app = App({"bootstrap.servers": "127.0.0.1:9092", "group.id": "billing"}, order="key", concurrency=64)

@app.handler("orders")
def handle(record, context):
    charge(record.key, record.value)  # returning means done, raising that it failed

app.run()
"""

from rota.consumer.app import App
from rota.consumer.class_handlers import Handler
from rota.consumer.context import Context
from rota.consumer.core.batches import BatchError
from rota.consumer.core.later import later
from rota.consumer.core.policy import DeadLetter, PayloadError, Retry, skip
from rota.consumer.core.state import Limits, Observer
from rota.consumer.failed.letters import Letter, Origin, read_letter
from rota.consumer.failed.retry_topics import RetryTopics
from rota.consumer.handlers import Batch
from rota.consumer.operations.health import Health
from rota.consumer.record import Record, Records
from rota.consumer.running import Running
from rota.consumer.settings import static_id
from rota.consumer.workers.runners import Done

__all__ = [
    "App",
    "Batch",
    "BatchError",
    "Context",
    "DeadLetter",
    "Done",
    "Handler",
    "Health",
    "Letter",
    "Limits",
    "Observer",
    "Origin",
    "PayloadError",
    "Record",
    "Records",
    "Retry",
    "RetryTopics",
    "Running",
    "later",
    "read_letter",
    "skip",
    "static_id",
]
