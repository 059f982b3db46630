"""The rows that tell which records were applied to a database, as steps (see `rota.consumer.effects.databases`).

A row of ``rota_done`` says that a record was applied: group, topic, partition and offset are its primary key. It is
written first in the transaction of the effect, so whoever else is at the same record (the next owner of the
partition, or the last one, who does not know yet that he lost it) waits for this transaction to end, and then finds
the row, or does not.

Rows some way below the committed offset are deleted: whoever owns the partition will not ask for them. One who
lost it, and was frozen for so long that others went past him, will. Therefore ``rota_done_below`` keeps how far was
deleted, and that is looked at *after* the row was written: a row that was there and could be written all the same was
deleted by a transaction that is committed, and has raised that number. (In a transaction that reads from a snapshot,
PostgreSQL's REPEATABLE READ, one would not see it; so what is deleted lies below what the number was before.)

A record may come again although it was applied, because the group's offsets were set back: where its row is, it is
not applied again. Or it is another record, because the topic was deleted and made anew: then its timestamp is not
the row's. Below what was deleted no timestamp tells one from the other (records may bring old ones), so that is an
error: to apply it might be wrong, and to pass over it might be as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rota.consumer.core.later import RetryLaterError
from rota.consumer.effects.databases import Answer, Statement, table_name
from rota.model import RotaError

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

__all__ = ["RAISED_AT_ONCE", "Place", "Rows"]

RAISED_AT_ONCE = 10_000
"""Offsets whose rows are deleted in one go, at most."""

_WRITTEN_AT_ONCE = 150
"""Rows of one statement: SQLite takes 999 values at the least."""

_HERE = "WHERE group_id = ? AND topic = ? AND partition_id = ?"


class Place(NamedTuple):
    """One partition, as one group sees it."""

    group: str
    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


class Rows:
    """Records are given as (offset, timestamp in milliseconds)."""

    def __init__(self, table: str = "rota_done") -> None:
        self.table = table_name(table)
        self.below = f"{self.table}_below"

    def create(self) -> list[Statement]:
        """The tables, if they are not there."""
        place = "group_id TEXT NOT NULL, topic TEXT NOT NULL, partition_id INTEGER NOT NULL"
        return [
            Statement(
                f"CREATE TABLE IF NOT EXISTS {self.table} ({place}, record_offset BIGINT NOT NULL, "
                "record_ms BIGINT NOT NULL, PRIMARY KEY (group_id, topic, partition_id, record_offset))"
            ),
            Statement(
                f"CREATE TABLE IF NOT EXISTS {self.below} ({place}, below_offset BIGINT NOT NULL, "
                "raised_ms BIGINT NOT NULL, PRIMARY KEY (group_id, topic, partition_id))"
            ),
        ]

    def note(
        self, place: Place, records: Sequence[tuple[int, int]]
    ) -> Generator[Statement, Answer, set[int]]:
        """Write the rows of records that are about to be applied; the offsets of those that were not before."""
        known: dict[int, int] = {}
        if len(records) > 1:
            known = yield from self._known(place, records)
        fresh = [record for record in records if record[0] not in known]
        written = 0
        for first in range(0, len(fresh), _WRITTEN_AT_ONCE):
            written += (yield self._insert(place, fresh[first : first + _WRITTEN_AT_ONCE])).changed
        if written < len(fresh):
            if len(records) > 1:
                raise RetryLaterError("somebody else has just applied some of these records", 0.0)
            known = yield from self._known(place, records)
            fresh = []
        for offset, timestamp_ms in records:
            if known.get(offset, timestamp_ms) != timestamp_ms:
                raise self._another(place, offset)
        if fresh:
            yield from self._refuse_deleted(place, fresh)
        return {offset for offset, _ in fresh}

    def prune(self, place: Place, before: int) -> Generator[Statement, Answer, None]:
        """Delete rows before an offset that is not above the committed one; in a transaction of their own."""
        answer = yield Statement(f"SELECT below_offset FROM {self.below} {_HERE}", place)
        below = answer.rows[0][0] if answer.rows else 0
        yield Statement(f"DELETE FROM {self.table} {_HERE} AND record_offset < ?", (*place, below))
        answer = yield Statement(
            f"SELECT min(record_offset) FROM {self.table} {_HERE} AND record_offset >= ?", (*place, below)
        )
        first = answer.rows[0][0]
        upto = before if first is None else min(before, first + RAISED_AT_ONCE)
        yield Statement(
            f"INSERT INTO {self.below} AS kept (group_id, topic, partition_id, below_offset, raised_ms) "
            "VALUES (?, ?, ?, ?, {now}) ON CONFLICT (group_id, topic, partition_id) DO UPDATE "
            "SET below_offset = excluded.below_offset, raised_ms = excluded.raised_ms "
            "WHERE kept.below_offset < excluded.below_offset",
            (*place, upto),
        )

    def _known(
        self, place: Place, records: Sequence[tuple[int, int]]
    ) -> Generator[Statement, Answer, dict[int, int]]:
        offsets = [offset for offset, _ in records]
        answer = yield Statement(
            f"SELECT record_offset, record_ms FROM {self.table} {_HERE} AND record_offset BETWEEN ? AND ?",
            (*place, min(offsets), max(offsets)),
        )
        return dict(answer.rows)

    def _insert(self, place: Place, records: Sequence[tuple[int, int]]) -> Statement:
        rows = ", ".join(["(?, ?, ?, ?, ?)"] * len(records))
        return Statement(
            f"INSERT INTO {self.table} (group_id, topic, partition_id, record_offset, record_ms) "
            f"VALUES {rows} ON CONFLICT DO NOTHING",
            tuple(value for record in records for value in (*place, *record)),
        )

    def _refuse_deleted(
        self, place: Place, fresh: Sequence[tuple[int, int]]
    ) -> Generator[Statement, Answer, None]:
        """Of records whose rows were just written: none may be where rows were deleted."""
        answer = yield Statement(f"SELECT below_offset, raised_ms FROM {self.below} {_HERE}", place)
        if not answer.rows:
            return
        below, raised_ms = answer.rows[0]
        for offset, timestamp_ms in fresh:
            if offset < below and timestamp_ms > raised_ms:
                raise self._another(place, offset)
            if offset < below:
                raise self._unknown(place, offset, below)

    def _another(self, place: Place, offset: int) -> RotaError:
        return RotaError(
            f"{place} at offset {offset} is not the record that was applied under this offset: the topic was deleted "
            f"and made anew. Delete what belongs to the old one: {self._deletion(place)}"
        )

    def _unknown(self, place: Place, offset: int, below: int) -> RotaError:
        return RotaError(
            f"{place} at offset {offset} was applied long ago, or is of a topic made anew; which cannot be told since "
            f"rows before {below} were deleted. If the group's offsets were set back, let it go on from {below}; if "
            f"the topic is another, or its records are to be applied again: {self._deletion(place)}"
        )

    def _deletion(self, place: Place) -> str:
        group = place.group.replace("'", "''")
        return (
            f"DELETE FROM {self.table} WHERE group_id = '{group}' AND topic = '{place.topic}', and the same in "
            f"{self.below}"
        )
