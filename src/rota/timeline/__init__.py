"""One timeline of a group's life: recorded, analysed and drawn the same way wherever it comes from."""

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
