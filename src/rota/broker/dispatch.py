"""Which handler serves which API, and the compiled route to it.

Handler modules and message declarations are imported, and codecs compiled, when the first request of their
kind arrives: a broker that starts for one test pays only for what that test uses.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from rota.wire.apis import APIS, Api
from rota.wire.codec import (
    MOST_ELEMENTS,
    bounded_decoder,
    decoder,
    encoder,
    has_records,
    whole_encoder,
)
from rota.wire.frames import frame_head, read_client_id, skip_tags

if TYPE_CHECKING:
    from rota.wire.schema import Message

__all__ = ["FIRST_APIS", "SERVED", "Dispatch", "Route"]

# API key -> module below rota.broker.handlers. What is missing here is not advertised.
SERVED: Final[dict[int, str]] = {
    0: "produce",
    1: "fetch",
    2: "list_offsets",
    3: "metadata",
    8: "groups",
    9: "groups",
    10: "find_coordinator",
    11: "groups",
    12: "groups",
    13: "groups",
    14: "groups",
    15: "groups",
    16: "groups",
    17: "no_security",
    18: "api_versions",
    19: "create_topics",
    20: "delete_topics",
    21: "delete_records",
    22: "init_producer_id",
    23: "offset_for_leader_epoch",
    24: "transactions",
    25: "transactions",
    26: "transactions",
    27: "write_txn_markers",
    28: "txn_offset_commit",
    29: "acls",
    30: "acls",
    31: "acls",
    32: "describe_configs",
    33: "alter_configs",
    34: "alter_replica_log_dirs",
    35: "describe_log_dirs",
    36: "no_security",
    37: "create_partitions",
    38: "no_security",
    39: "no_security",
    40: "no_security",
    41: "no_security",
    42: "groups",
    43: "elect_leaders",
    44: "incremental_alter_configs",
    45: "reassignments",
    46: "reassignments",
    47: "groups",
    48: "client_quotas",
    49: "client_quotas",
    50: "scram_credentials",
    51: "scram_credentials",
    55: "describe_quorum",
    57: "update_features",
    60: "describe_cluster",
    61: "describe_producers",
    64: "cluster_nodes",
    65: "transactions",
    66: "transactions",
    68: "groups",
    69: "groups",
    74: "list_config_resources",
    75: "describe_topic_partitions",
    76: "share_groups",
    77: "share_groups",
    78: "share_groups",
    79: "share_groups",
    80: "cluster_nodes",
    81: "cluster_nodes",
    83: "share_group_state",
    84: "share_group_state",
    85: "share_group_state",
    86: "share_group_state",
    87: "share_group_state",
    90: "share_groups",
    91: "share_groups",
    92: "share_groups",
}

# In the order in which clients that start send them: ApiVersions, Metadata, CreateTopics, InitProducerId, Produce, …
FIRST_APIS: Final = (18, 3, 19, 22, 0, 10, 11, 2, 1)

_API_VERSIONS = 18


class Route:
    """One API at one version: how to read it, who handles it, how to write the answer."""

    __slots__ = (
        "_decode",
        "_encode",
        "_encode_whole",
        "_flexible_request",
        "_head",
        "_in_place",
        "_version",
        "api",
        "handle",
    )

    def __init__(self, api: Api, version: int, handle: Callable[..., Any]) -> None:
        self.api = api
        self._version = version
        self.handle = handle
        self._decode = decoder(api.request_type, version)
        self._in_place = has_records(api.request_type, version)
        self._flexible_request = api.request_header_version(version) >= 2
        self._encode = encoder(api.response_type, version)
        # Most answers have no records: they are one piece.
        self._encode_whole = (
            None if has_records(api.response_type, version) else whole_encoder(api.response_type, version)
        )
        self._head = frame_head(flexible=api.response_header_version(version) >= 1)

    def read(self, frame: memoryview) -> tuple[str | None, Message]:
        """The client id and the body of a request. The header's fixed part, 8 bytes, has been read already."""
        data = frame if self._in_place else bytes(frame)
        client_id, position = read_client_id(data, 8)
        if self._flexible_request:
            if position < len(data) and not data[position]:  # no tags, as ever
                position += 1
            else:
                position = skip_tags(data, position)
        decode = self._decode
        if len(data) > MOST_ELEMENTS:  # many small elements cost memory and everybody's time
            decode = bounded_decoder(self.api.request_type, self._version)
        # Bytes behind the body are ignored, as Kafka does: librdkafka leaves some behind a Metadata request.
        return client_id, decode(data, position)[0]

    def frame(self, correlation_id: int, response: Message) -> list[Any]:
        """The whole answer, length and header first, as chunks whose record bytes are not copied."""
        head = self._head
        if self._encode_whole is not None:
            whole = self._encode_whole(response)
            return [head.pack(head.size - 4 + len(whole), correlation_id) + whole]
        body: list[Any] = []
        self._encode(response, body)
        size = head.size - 4 + sum(map(len, body))
        return [head.pack(size, correlation_id), *body]


class Dispatch:
    """Finds, and remembers, the route of an API at a version."""

    def __init__(self) -> None:
        self._routes: dict[int, Route | None] = {}

    def route(self, key: int, version: int) -> Route | None:
        """None: not served; the connection is to be closed without an answer, as Apache Kafka does."""
        slot = key << 16 | version & 0xFFFF
        try:
            return self._routes[slot]
        except KeyError:
            pass
        found = self._make(key, version)
        if found is not None:
            self._routes[slot] = found
        return found

    def warm(self, key: int) -> None:
        """Import what serves an API before anyone asks for it."""
        api = APIS[key]
        importlib.import_module(f"rota.broker.handlers.{SERVED[key]}")
        _ = api.request_type, api.response_type

    def _make(self, key: int, version: int) -> Route | None:
        api = APIS.get(key)
        module_name = SERVED.get(key)
        if api is None or module_name is None:
            return None
        if not api.min_version <= version <= api.max_version:
            if key != _API_VERSIONS:
                return None
            # Its body is of an unknown shape and is not read; the answer says which versions there are.
            return _UnknownApiVersions(api)
        module = importlib.import_module(f"rota.broker.handlers.{module_name}")
        return Route(api, version, module.handle)


class _UnknownApiVersions(Route):
    """ApiVersions in a version that is not known: answered in version 0 (KIP-511) with error 35 and its own range."""

    __slots__ = ()

    def __init__(self, api: Api) -> None:
        super().__init__(api, 0, importlib.import_module("rota.broker.handlers.api_versions").refuse_version)

    def read(self, frame: memoryview) -> tuple[str | None, Any]:  # noqa: ARG002 - nobody knows what is in it
        return None, None
