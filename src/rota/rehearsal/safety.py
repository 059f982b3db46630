"""A lab never touches what it did not make: neither a group that others are in, nor a topic that others use.

A group made by a lab is known by its mark, the metadata of its committed offsets. Joining any other group would
take partitions from its members; writing into any other topic would feed made-up events to whoever reads it.
"""

from __future__ import annotations

import time
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING, Any

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException
from confluent_kafka import KafkaError as ClientError
from confluent_kafka import TopicPartition as ClientPartition

from rota.cluster import ClusterError, Local, explain
from rota.cluster.connection import NEVER_S, is_moving
from rota.model import RotaError
from rota.rehearsal.settings import MARK

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from rota.cluster import Cluster
    from rota.rehearsal.settings import LabSettings

__all__ = ["check_free", "clean_up", "mark_group"]

STATES_WITHOUT_MEMBERS = ("Empty", "Dead")
SESSION_GRACE_S = 3.0
MOVING_S = 15.0
ATTEMPT_S = 4.0


def check_free(cluster: Cluster, settings: LabSettings) -> None:
    """Refuse, saying why and what to do instead, unless group and topic are free or a lab's own.

    Raises:
        RotaError: somebody is in the group, the group is not a lab's, or the topic is not a lab's.
    """
    group, topic, where = settings.group, settings.topic, cluster.bootstrap
    description = cluster.describe_groups([group])[group]
    if description.members or description.state not in STATES_WITHOUT_MEMBERS:
        who = ", ".join(member.client_id for member in description.members[:3]) or description.state
        count = len(description.members)
        raise RotaError(
            f"refusing to join the group {group} at {where}: it is alive ({count} "
            f"member{'s' if count != 1 else ''}: {who}), and a rehearsal would take partitions from it; "
            "choose another name with --group"
        )
    offsets = cluster.committed_offsets(group) if description.exists else {}
    ours = any(offset.metadata == MARK for offset in offsets.values())
    if offsets and not ours:
        raise RotaError(
            f"refusing to join the group {group} at {where}: no lab made it (it has committed offsets "
            f"of {next(iter(offsets)).topic}), and a rehearsal would move them; choose another name with --group"
        )
    own_topics = {tp.topic for tp, offset in offsets.items() if offset.metadata == MARK}
    if topic not in own_topics and _exists(cluster, topic):
        raise RotaError(
            f"refusing to write into the topic {topic} at {where}: it exists and no lab made it; "
            "choose another name with --topic"
        )


def _exists(cluster: Cluster, topic: str) -> bool:
    answer = cluster.describe_topics([topic], configs=False)[topic]
    if isinstance(answer, ClusterError) and answer.code == ClientError.UNKNOWN_TOPIC_OR_PART:
        return False
    if isinstance(answer, RotaError):
        raise answer
    return True


def mark_group(cluster: Cluster, settings: LabSettings) -> None:
    """Put the mark on all offsets of a group that is to be kept; automatic commits leave none.

    Raises:
        RotaError: the group still has members, or the cluster refuses.
    """
    offsets = cluster.committed_offsets(settings.group)
    if not offsets:
        return
    marked = [ClientPartition(tp.topic, tp.partition, at.offset, MARK) for tp, at in offsets.items()]
    request = ConsumerGroupTopicPartitions(settings.group, marked)

    def mark() -> ClusterError | None:
        found = cluster.admin.alter_consumer_group_offsets([request], request_timeout=NEVER_S)
        return _failure(found[settings.group], f"mark the group {settings.group}")

    failure = _patiently(cluster, mark, is_moving, MOVING_S)
    if failure is not None:
        raise failure


def clean_up(cluster: Cluster, settings: LabSettings) -> list[str]:
    """Delete the lab's group and topic; gives what could not be deleted, and why.

    Members that were killed, or are static, are in the group until their session ends: that is waited for, and so is
    a coordinator whose broker has just failed.
    """
    patience_s = max(MOVING_S, settings.session_timeout_ms / 1000 + SESSION_GRACE_S)

    def delete() -> ClusterError | None:
        found = cluster.admin.delete_consumer_groups([settings.group], request_timeout=NEVER_S)
        return _failure(found[settings.group], f"delete the group {settings.group}")

    def passes(failure: ClusterError) -> bool:
        return is_moving(failure) or failure.code == ClientError.NON_EMPTY_GROUP

    failure = _patiently(cluster, delete, passes, patience_s)
    left = [] if failure is None or failure.code == ClientError.GROUP_ID_NOT_FOUND else [str(failure)]
    trouble = cluster.delete_topics([settings.topic])[settings.topic]
    return left if trouble is None else [*left, str(trouble)]


def _patiently(
    cluster: Cluster,
    act: Callable[[], ClusterError | None],
    passes: Callable[[ClusterError], bool],
    patience_s: float,
) -> ClusterError | None:
    """Do it again, within that time, as long as it fails with what passes; how it ended."""
    deadline = time.monotonic() + patience_s
    while (failure := act()) is not None and passes(failure) and time.monotonic() < deadline:
        if is_moving(failure):
            cluster.close()  # see `Connection`: a client that has lost its coordinator is not to be trusted
        time.sleep(0.3)
    return failure


def _failure(future: Future[Any], doing: str) -> ClusterError | None:
    try:
        future.result(ATTEMPT_S)
    except FutureTimeoutError:
        return ClusterError(f"could not {doing}: no answer in time", Local.TIMED_OUT)
    except KafkaException as error:
        found = explain(error, doing)
        assert isinstance(found, ClusterError), "a broker's refusal has a code"
        return found
    return None
