"""One timeline of a group's life: recorded, analysed and drawn the same way wherever it comes from.

The names below are imported when they are first used: a broker that only writes events does not load their
analysis.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rota.timeline.causes import Interruption, InterruptionKind
    from rota.timeline.history import Generation, Incident, Rebalance
    from rota.timeline.ownership import Move, Overlap, Span
    from rota.timeline.pauses import Pause
    from rota.timeline.summary import Duplicate, Loss, PartitionSummary, RebalanceSummary, Summary
    from rota.timeline.timeline import DEFAULT_PAUSE_MS, Timeline

__all__ = [
    "DEFAULT_PAUSE_MS",
    "Duplicate",
    "Generation",
    "Incident",
    "Interruption",
    "InterruptionKind",
    "Loss",
    "Move",
    "Overlap",
    "PartitionSummary",
    "Pause",
    "Rebalance",
    "RebalanceSummary",
    "Span",
    "Summary",
    "Timeline",
]

_HOME = {
    "DEFAULT_PAUSE_MS": "timeline",
    "Duplicate": "summary",
    "Generation": "history",
    "Incident": "history",
    "Interruption": "causes",
    "InterruptionKind": "causes",
    "Loss": "summary",
    "Move": "ownership",
    "Overlap": "ownership",
    "PartitionSummary": "summary",
    "Pause": "pauses",
    "Rebalance": "history",
    "RebalanceSummary": "summary",
    "Span": "ownership",
    "Summary": "summary",
    "Timeline": "timeline",
}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
