"""What a broker knows besides records: topics, settings made at run time, ids. One JSON file, replaced as a whole.

A full disk has no room for another file, though deleting a topic would make room. Then an empty file whose name holds
the topic's id says that it is deleted, until the JSON file is written the next time.
"""

from __future__ import annotations

import errno
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from rota.ids import random_uuid
from rota.model import RotaError
from rota.plain import Plain
from rota.storage.files import replace_file, sync_directory, write_file

__all__ = ["MetadataStore", "StoredTopic", "id_text", "new_id"]

FILE: Final = "rota-metadata.json"
_VERSION: Final = 1
_DELETED: Final = "rota-deleted-topic-"
_BROKERS: Final = "broker_configs"
_GROUPS: Final = "group_configs"
_TABLES: Final = (
    _BROKERS,
    _GROUPS,
    "client_metrics_configs",
    "client_quotas",
    "scram_credentials",
    "features",
)
_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def new_id() -> str:
    """A random id as Kafka prints ids: 22 characters."""
    return id_text(random_uuid())


def id_text(raw: bytes) -> str:
    """Kafka's text for the 16 bytes of an id."""
    return urlsafe_b64encode(raw).decode().rstrip("=")


def _id_bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "==")


class StoredTopic(Plain):
    """A topic as it was stored; ``configs`` holds what was set for it."""

    id: bytes
    partitions: int
    configs: Mapping[str, str]


class MetadataStore:
    """Reads are from memory; every change is on the disk when the method returns (with a path)."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.cluster_id = new_id()
        self.topics: dict[str, StoredTopic] = {}
        self.next_producer_id = 0
        self._tables: dict[str, dict[str, dict[str, Any]]] = {table: {} for table in _TABLES}
        self._is_gathering = self._is_stale = False
        self._deleted: list[Path] = []  # what says so of topics that the file still has

    @classmethod
    def open(cls, directory: Path | None) -> MetadataStore:
        """Read the file, or begin a new cluster. Raises ``RotaError`` if the file is not to be understood."""
        store = cls(directory / FILE if directory else None)
        if store._path is None:
            return store
        try:
            store._load(json.loads(store._path.read_bytes()))
            store._forget_deleted()
        except FileNotFoundError:
            store._save()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RotaError(
                f"{store._path} is damaged ({error}); restore it, or use an empty directory"
            ) from error
        return store

    def _load(self, content: dict[str, Any]) -> None:
        if content["version"] != _VERSION:
            raise RotaError(f"{self._path} has version {content['version']}, this program knows {_VERSION}")
        self.cluster_id = str(content["cluster_id"])
        self.next_producer_id = int(content["next_producer_id"])
        # The others came later.
        self._tables = {_BROKERS: content[_BROKERS], _GROUPS: content[_GROUPS]} | {
            table: content.get(table, {}) for table in _TABLES[2:]
        }
        self.topics = {
            name: StoredTopic(_id_bytes(topic["id"]), int(topic["partitions"]), topic["configs"])
            for name, topic in content["topics"].items()
        }

    def _forget_deleted(self) -> None:
        assert self._path is not None
        self._deleted = list(self._path.parent.glob(f"{_DELETED}*"))
        ids = {_id_bytes(path.name.removeprefix(_DELETED)) for path in self._deleted}
        for name in [name for name, topic in self.topics.items() if topic.id in ids]:
            del self.topics[name]

    def _save(self) -> None:
        if self._path is None:
            return
        content = {
            "version": _VERSION,
            "cluster_id": self.cluster_id,
            "next_producer_id": self.next_producer_id,
            **self._tables,
            "topics": {
                name: {
                    "id": id_text(topic.id),
                    "partitions": topic.partitions,
                    "configs": dict(topic.configs),
                }
                for name, topic in sorted(self.topics.items())
            },
        }
        replace_file(self._path, json.dumps(content, indent=1).encode() + b"\n")
        while self._deleted:
            self._deleted.pop().unlink(missing_ok=True)

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Save what is changed inside. If that fails (a full disk), nothing has changed."""
        self._is_stale = True
        if self._is_gathering:
            yield
            return
        tables: tuple[dict[str, Any], ...] = (self.topics, *self._tables.values())
        before = [dict(table) for table in tables]
        next_producer_id = self.next_producer_id
        try:
            yield
            if self._is_stale:
                self._save()
        except OSError:
            for table, content in zip(tables, before, strict=True):
                table.clear()
                table.update(content)
            self.next_producer_id = next_producer_id
            raise

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Save all changes made inside by one write, at the end. Raises ``OSError``; then none has been made."""
        with self._change():
            self._is_gathering, self._is_stale = True, False
            try:
                yield
            finally:
                self._is_gathering = False

    # --- topics ---------------------------------------------------------------------------------------------

    def put_topic(self, name: str, topic_id: bytes, partitions: int, configs: Mapping[str, str]) -> None:
        """Remember a topic, or its change."""
        with self._change():
            self.topics[name] = StoredTopic(topic_id, partitions, dict(configs))

    def remove_topic(self, name: str) -> None:
        """Forget a topic. This needs no room on the disk."""
        topic = self.topics.get(name)
        if topic is None:
            return
        try:
            with self._change():
                del self.topics[name]
        except OSError as error:
            if error.errno not in _FULL or self._path is None:
                raise
            mark = self._path.with_name(_DELETED + id_text(topic.id))
            write_file(mark, b"")
            sync_directory(mark.parent)
            self._deleted.append(mark)
            self.topics.pop(name)

    # --- settings -------------------------------------------------------------------------------------------

    def broker_overrides(self, node_id: int | None) -> dict[str, str]:
        """What was set at run time for a broker; None: for all brokers."""
        return self.stored(_BROKERS, _node(node_id))

    def put_broker_overrides(self, node_id: int | None, configs: Mapping[str, str]) -> None:
        """Replace what was set at run time for a broker; None: for all brokers."""
        self.put(_BROKERS, _node(node_id), configs)

    def group_configs(self, group: str) -> dict[str, str]:
        """What was set for a group."""
        return self.stored(_GROUPS, group)

    def put_group_configs(self, group: str, configs: Mapping[str, str]) -> None:
        """Replace what was set for a group."""
        self.put(_GROUPS, group, configs)

    def groups_with_configs(self) -> list[str]:
        """The groups for which something was set, in order."""
        return self.names(_GROUPS)

    def stored(self, table: str, name: str) -> dict[str, Any]:
        """What a table (``client_quotas``, ``scram_credentials`` …) holds under a name."""
        return dict(self._tables[table].get(name, {}))

    def names(self, table: str) -> list[str]:
        """The names under which a table holds something, in order."""
        return sorted(self._tables[table])

    def put(self, table: str, name: str, content: Mapping[str, Any]) -> None:
        """Replace what a table holds under a name; nothing is left of what is empty."""
        with self._change():
            if content:
                self._tables[table][name] = dict(content)
            else:
                self._tables[table].pop(name, None)

    # --- ids ------------------------------------------------------------------------------------------------

    def reserve_producer_ids(self, count: int) -> int:
        """The first of ``count`` producer ids that nobody else gets."""
        first = self.next_producer_id
        with self._change():
            self.next_producer_id += count
        return first


def _node(node_id: int | None) -> str:
    return "" if node_id is None else str(node_id)
