"""A broker's data directory: one log a partition, the checkpoints that a start needs, and the lock.

The files are Kafka's own: ``<topic>-<partition>/``, ``meta.properties``, ``partition.metadata``,
``recovery-point-offset-checkpoint``, ``log-start-offset-checkpoint``, ``replication-offset-checkpoint``,
``cleaner-offset-checkpoint`` and ``.kafka_cleanshutdown``; ``rota-metadata.json`` is ours. Without a path all of it
is in memory.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Final

from rota.ids import random_uuid
from rota.model import RotaError, TopicPartition
from rota.storage.checkpoints import read_offsets, write_offsets
from rota.storage.config import LogConfig
from rota.storage.files import remove_tree, replace_file, sync_directory, write_file
from rota.storage.log import Log
from rota.storage.metadata import MetadataStore, id_text, new_id
from rota.storage.stores import OpenFiles

__all__ = ["LogDirectory"]

_LOCK: Final = ".lock"
_CLEAN: Final = ".kafka_cleanshutdown"
_FEWEST_OPEN_FILES: Final = 16
_MOST_OPEN_FILES: Final = 100_000
_RECOVERY: Final = "recovery-point-offset-checkpoint"
_START: Final = "log-start-offset-checkpoint"
_CLEANED: Final = "cleaner-offset-checkpoint"
_REPLICATION: Final = "replication-offset-checkpoint"
_LEGAL_TOPIC: Final = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_DELETED: Final = re.compile(r".+-delete")
_IDENTITY: Final = re.compile(r"version: 0\s+topic_id: [A-Za-z0-9_-]{22}\s*")

logger = logging.getLogger(__name__)


class LogDirectory:
    """All logs of a broker. Made by ``LogDirectory.open``; belongs to one process at a time."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.logs: dict[TopicPartition, Log] = {}
        self.metadata = MetadataStore.open(path)
        self.was_clean = True
        self.open_files = OpenFiles(_FEWEST_OPEN_FILES)
        self._lock: int | None = None
        self._recovery_points: dict[TopicPartition, int] = {}
        self._start_offsets: dict[TopicPartition, int] = {}
        self._cleaned_to: dict[TopicPartition, int] | None = None
        self._writing_cleaned = Lock()

    @classmethod
    def open(cls, path: Path | str | None, *, node_id: int = 1) -> LogDirectory:
        """Open or make a data directory; None: in memory. Raises ``RotaError``, e.g. if another process has it."""
        if path is None:
            return cls(None)
        directory = Path(path).absolute()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            lock = _take_lock(directory)
        except OSError as error:
            raise RotaError(f"cannot use the data directory {directory}: {error.strerror}") from error
        try:
            opened = cls(directory)
            opened._lock = lock
            opened._load(node_id)
        except BaseException:
            os.close(lock)
            raise
        return opened

    def _load(self, node_id: int) -> None:
        assert self.path is not None
        self.open_files.limit = _raise_file_limit()
        clean = self.path / _CLEAN
        self.was_clean = clean.exists()
        if self.was_clean:
            clean.unlink()
            # A mark that comes back with the power would vouch for what is written from now on.
            sync_directory(self.path)
        points = _read_checkpoint(self.path / _RECOVERY, "every log is checked")
        if points is None:
            self.was_clean = False
        self._recovery_points = points or {}
        self._start_offsets = _read_checkpoint(self.path / _START, "deleted records may be back") or {}
        self._check_properties(node_id)
        for each in self.path.iterdir():
            if _DELETED.fullmatch(each.name) and each.is_dir():
                remove_tree(each)

    def _check_properties(self, node_id: int) -> None:
        assert self.path is not None
        path = self.path / "meta.properties"
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            values = {
                "version": "1",
                "node.id": str(node_id),
                "directory.id": new_id(),
                "cluster.id": self.metadata.cluster_id,
            }
            replace_file(path, "".join(f"{key}={value}\n" for key, value in values.items()).encode())
            return
        stored = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
        if stored.get("node.id", str(node_id)) != str(node_id):
            raise RotaError(
                f"{self.path} belongs to the broker with node.id {stored['node.id']}, not {node_id}: "
                "set node.id, or use another directory"
            )
        if stored.get("cluster.id", self.metadata.cluster_id) != self.metadata.cluster_id:
            raise RotaError(f"{self.path} belongs to another cluster ({stored['cluster.id']})")

    # --- what it is -----------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """What Kafka's tools call this directory: its path, or ``memory``."""
        return "memory" if self.path is None else str(self.path)

    def volume(self) -> tuple[int, int]:
        """Bytes of the file system in all, and those still free; -1, -1 in memory."""
        if self.path is None:
            return -1, -1
        found = os.statvfs(self.path)
        return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize

    # --- logs -----------------------------------------------------------------------------------------------

    def open_log(self, tp: TopicPartition, topic_id: bytes, config: LogConfig, *, now_ms: int) -> Log:
        """Open a partition's log, recovering it after a crash, or create it.

        The directory of another topic that had the same name is moved aside. Raises ``OSError``.
        """
        assert tp not in self.logs, f"{tp} is open"
        where = self._directory(tp)
        recover_from: int | None = None
        start = 0
        is_new = where is not None and not self._prepare(where, topic_id)
        if where is not None:
            if not is_new:
                recover_from = None if self.was_clean else self._recovery_points.get(tp, 0)
                start = self._start_offsets.get(tp, 0)
            else:
                self._forget_namesakes(tp)
        log = Log.open(
            where,
            config,
            now_ms=now_ms,
            recover_from=recover_from,
            log_start_offset=start,
            is_new=is_new,
            has_holes=recover_from is not None and tp in self.cleaned_to,
            files=self.open_files,
        )
        self.logs[tp] = log
        return log

    def _forget_namesakes(self, tp: TopicPartition) -> None:
        """What the checkpoints say of a topic that had this one's name must not be said of this one."""
        assert self.path is not None
        for name, offsets in ((_RECOVERY, self._recovery_points), (_START, self._start_offsets)):
            if tp in offsets:
                gone = [each for each in offsets if each.topic == tp.topic and each not in self.logs]
                for each in gone:
                    if each == tp or not (self.path / f"{each.topic}-{each.partition}").exists():
                        del offsets[each]
                write_offsets(self.path / name, offsets)

    def _prepare(self, where: Path, topic_id: bytes) -> bool:
        """Make a partition's directory, or check whose it is; whether it was there."""
        identity = where / "partition.metadata"
        text = f"version: 0\ntopic_id: {id_text(topic_id)}"
        try:
            where.mkdir()
        except FileExistsError:
            found = _read_identity(identity)
            if found.split() == text.split():
                return True
            if not _IDENTITY.fullmatch(found):
                logger.warning("%s is damaged: it is made again", identity)
                write_file(identity, text.encode(), sync=True)
                return True
            stray = where.with_name(f"{where.name[:200]}.{random_uuid().hex()}-stray")
            logger.warning("%s belongs to a topic that is no more: it is kept as %s", where, stray.name)
            where.rename(stray)
            where.mkdir()
        write_file(identity, text.encode())
        return False

    def _directory(self, tp: TopicPartition) -> Path | None:
        legal = _LEGAL_TOPIC.fullmatch(tp.topic) and tp.topic not in {".", ".."}
        assert legal, f"not a topic's name: {tp.topic!r}"
        assert tp.partition >= 0
        return None if self.path is None else self.path / f"{tp.topic}-{tp.partition}"

    def delete(self, tp: TopicPartition) -> None:
        """Remove a partition and its records; what was handed out for sending stays readable."""
        log = self.logs.pop(tp)
        where = self._directory(tp)
        if where is None:
            self.cleaned_to.pop(tp, None)
            log.delete()
            return
        if self.cleaned_to.pop(tp, None) is not None:
            # Another topic of that name is not to be taken for a clean one.
            with contextlib.suppress(
                OSError
            ):  # a full disk; it only means that missing offsets are no damage
                self._write_cleaned(sync=False)
        # Renamed first: if we are killed half-way, the next start finds nothing that looks like a partition.
        gone = where.with_name(f"{where.name[:200]}.{random_uuid().hex()}-delete")
        where.rename(gone)
        log.abandon()
        remove_tree(gone)

    # --- compaction -----------------------------------------------------------------------------------------

    @property
    def cleaned_to(self) -> dict[TopicPartition, int]:
        """Up to which offset each log was compacted; none where it never was. Read when it is first needed."""
        if self._cleaned_to is None:
            self._cleaned_to = {}
            if self.path is not None:
                found = _read_checkpoint(self.path / _CLEANED, "compaction begins anew")
                self._cleaned_to = found or {}
        return self._cleaned_to

    def note_cleaned(self, tp: TopicPartition, offset: int) -> Callable[[], None]:
        """A log was compacted up to ``offset``; what writes that down, in any thread."""
        self.cleaned_to[tp] = offset
        return self._write_cleaned

    def _write_cleaned(self, *, sync: bool = True) -> None:
        if self.path is not None:
            with self._writing_cleaned:
                write_offsets(self.path / _CLEANED, dict(self.cleaned_to), sync=sync)

    # --- life -----------------------------------------------------------------------------------------------

    def write_checkpoints(self) -> None:
        """Write down up to where each log is on the disk, and where it begins."""
        if self.path is None:
            return
        recovery = {tp: log.recovery_point for tp, log in self.logs.items()}
        starts = {
            tp: log.log_start_offset for tp, log in self.logs.items() if log.log_start_offset > log.bases[0]
        }
        ends = {tp: log.high_watermark for tp, log in self.logs.items()}
        if recovery != self._recovery_points:
            write_offsets(self.path / _RECOVERY, recovery)
            self._recovery_points = recovery
        if starts != self._start_offsets:
            write_offsets(self.path / _START, starts)
            self._start_offsets = starts
        write_offsets(self.path / _REPLICATION, ends, sync=False)

    def _close_logs(self) -> None:
        """Close all of them, whatever happens to one.

        Raises:
            OSError: what the first of those had that are not on the disk.
        """
        failures: list[tuple[Log, OSError]] = []
        for log in self.logs.values():
            try:
                log.close()
            except OSError as error:
                failures.append((log, error))
        if failures:
            (first, why), more = failures[0], len(failures) - 1
            others = f" and {more} more" if more else ""
            logger.error(
                "%s%s: not closed cleanly, the next start checks all: %s", first.directory, others, why
            )
            raise why

    def close(self) -> None:
        """Close every log, leave the mark of a clean shutdown, and give up the lock.

        Raises:
            OSError: the disk is full or fails; all is closed, the mark is missing, and the next start checks the logs.
        """
        if self.path is None:
            self.logs.clear()
            return
        if self._lock is None:
            return
        try:
            self._close_logs()
            self.write_checkpoints()
            replace_file(self.path / _CLEAN, b'{"version":0,"brokerEpoch":-1}')
        finally:
            self.logs.clear()
            os.close(self._lock)
            self._lock = None


def _read_checkpoint(path: Path, without: str) -> dict[TopicPartition, int] | None:
    """What a checkpoint says; None if it is damaged, and then it is put aside."""
    try:
        return read_offsets(path)
    except RotaError as error:
        aside = path.with_name(path.name + ".damaged")
        logger.warning("%s: it is kept as %s, and %s", error, aside.name, without)
        path.replace(aside)
        return None


def _read_identity(path: Path) -> str:
    try:
        return path.read_bytes().decode("ascii", "replace")
    except FileNotFoundError:
        return ""


def _take_lock(directory: Path) -> int:
    descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise RotaError(
            f"the data directory {directory} is in use by another broker: stop it, or use another directory"
        ) from error
    return descriptor


def _raise_file_limit() -> int:
    """Allow as many open files as the system lets us, as the JVM does; how many of them the logs may have.

    That is half of them: the others are for connections.
    """
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _MOST_OPEN_FILES
    return min(max(soft // 2, _FEWEST_OPEN_FILES), _MOST_OPEN_FILES)
