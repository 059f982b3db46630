"""The group coordinator as a pure, replayable state machine: no I/O, no clock, no threads.

``GroupCoordinator.handle(request, context)`` returns an ``Outcome``: records to append, replies to send,
timers to set, events to tell. ``replay(record)`` alone changes recorded state; start-up replays the log
through it.

The parts: ``states`` (the table of transitions), ``group`` and ``members`` (the data), ``rebalance`` (the
barrier), one file per request (``join``, ``sync``, ``heartbeat``, ``leave``, ``offsets``, ``fetch_offsets``,
``describe``), ``records`` and ``log_format`` (what is written down), ``failures`` (when it could not be),
``reasons`` (why a rebalance happened, for people), ``coordinator`` (the way in) and ``assignors``. Groups of
KIP-848 are in ``consumer_groups``, the regular expressions that their members subscribe by in ``re2``.
"""

from __future__ import annotations

from rota.coordinator.config import GroupConfig
from rota.coordinator.coordinator import GroupCoordinator, partition_for
from rota.coordinator.outcome import EMPTY_OUTCOME, Context, LogRecord, Outcome, Reply, Timer, TopicView
from rota.coordinator.states import TRANSITIONS, GroupState

__all__ = [
    "EMPTY_OUTCOME",
    "TRANSITIONS",
    "Context",
    "GroupConfig",
    "GroupCoordinator",
    "GroupState",
    "LogRecord",
    "Outcome",
    "Reply",
    "Timer",
    "TopicView",
    "partition_for",
]
