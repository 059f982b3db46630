"""A Kafka cluster seen from a client: topics, groups, offsets, in this package's own words.

A thin adapter over confluent-kafka (librdkafka). It adds three things that every caller wants: plain frozen
dataclasses as answers, errors as one line for a person, and requests in bulk. Nothing here joins a group.
"""

from rota.client_properties import client_properties
from rota.cluster.client import DEFAULT_BOOTSTRAP, Cluster
from rota.cluster.descriptions import (
    BrokerNode,
    CommittedOffset,
    ConfigValue,
    GroupDescription,
    MemberDescription,
    PartitionDescription,
    TopicDescription,
)
from rota.cluster.errors import ClusterError, CoordinatorAwayError, Local, explain
from rota.properties_file import read_properties

__all__ = [
    "DEFAULT_BOOTSTRAP",
    "BrokerNode",
    "Cluster",
    "ClusterError",
    "CommittedOffset",
    "ConfigValue",
    "CoordinatorAwayError",
    "GroupDescription",
    "Local",
    "MemberDescription",
    "PartitionDescription",
    "TopicDescription",
    "client_properties",
    "explain",
    "read_properties",
]
