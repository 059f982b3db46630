"""Questions and orders to a cluster in Kafka's own protocol: many groups, topics and partitions in one request."""

from rota.admin.admin import Admin
from rota.admin.errors import AdminError, UnreachableError
from rota.admin.offsets import At, Position
from rota.admin.scan import Depth, scan

__all__ = ["Admin", "AdminError", "At", "Depth", "Position", "UnreachableError", "scan"]
