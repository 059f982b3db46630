"""The partition assignors of the classic group protocol, as pure functions.

``ASSIGNORS[name](members, partitions)`` gives what the leader of a group would send with SyncGroup: per
member its partitions. The results are those of Apache Kafka's Java client 4.1, list for list, ties included;
where that client itself goes wrong they are what it should have been:

- a claim to a partition number that its topic does not have is ignored (Java counts it and then hands out
  partitions twice);
- a member that subscribes to no topic gets none (Java may take the others' topics for its own);
- a former holder that no longer subscribes to a topic does not get its partition back.

Members with equal subscriptions settle in two cooperative rebalances. With unequal ones a third may be needed,
in Java as here: the second round may find one more partition to move.

Left out: rack awareness (KIP-881). Racks change the result only where members *and* replicas name racks and
some partition has no replica in some rack; on a single broker that cannot be.

Where librdkafka (2.x) differs from the Java client, seen from its source:

- ``range`` and ``roundrobin`` put two static members in order by instance id, but a static and a dynamic one
  by member id, where Java puts all static members first; groups that mix the two are dealt differently;
- ``sticky`` and ``cooperative-sticky`` always take the general way, never the one for equal subscriptions, so
  that with the same sizes other partitions may move; ties go by C's byte order and its own hash map's;
- partitions claimed twice in one generation are found per partition, over all claimants at once, and a former
  holder is the second newest claimant rather than any from before the newest generation;
- ``cooperative-sticky`` withholds moving partitions in a step of the group's code after any cooperative
  assignor: whatever is owned by one member and assigned to another;
- topics that match ``topic.blacklist`` are not assigned.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from rota.coordinator.assignors.range import assign_range
from rota.coordinator.assignors.roundrobin import assign_roundrobin
from rota.coordinator.assignors.sticky import assign_cooperative_sticky, assign_sticky
from rota.coordinator.assignors.subscription import (
    Assignor,
    MemberSubscription,
    encode_cooperative_user_data,
    encode_sticky_user_data,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ASSIGNORS",
    "Assignor",
    "MemberSubscription",
    "assign_cooperative_sticky",
    "assign_range",
    "assign_roundrobin",
    "assign_sticky",
    "encode_cooperative_user_data",
    "encode_sticky_user_data",
]

ASSIGNORS: Mapping[str, Assignor] = MappingProxyType(
    {
        "range": assign_range,
        "roundrobin": assign_roundrobin,
        "sticky": assign_sticky,
        "cooperative-sticky": assign_cooperative_sticky,
    }
)
