"""On somebody's Kafka nothing is left behind."""

from __future__ import annotations

from rota.cluster import Cluster
from rota.rehearsal.safety import clean_up
from rota.rehearsal.settings import LabSettings

__all__ = ["remove"]


def remove(bootstrap: str, name: str, session_s: float) -> None:
    """Delete the topic and the group of that name; members that were killed are waited for. Tells what could not be."""
    cluster = Cluster(bootstrap)
    for left in clean_up(
        cluster, LabSettings(topic=name, group=name, session_timeout_ms=int(session_s * 1000))
    ):
        print(f"left behind: {left}")
    cluster.close()
