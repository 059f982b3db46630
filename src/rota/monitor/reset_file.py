"""Plans in files: Kafka's CSV, both ways, and a JSON form for what CSV cannot say.

``kafka-consumer-groups --export`` writes ``topic,partition,offset`` for one group and ``group,topic,partition,offset``
for several, without a header, and its ``--from-file`` reads them. A commit's metadata, or that there is to be none at
all, has no place there: a rollback that needs it is JSON.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from rota.model import RotaError, TopicPartition
from rota.monitor.facts import Commit
from rota.monitor.reset import Wanted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["fits_csv", "plan_csv", "plan_json", "read_plan"]

Offsets = dict[TopicPartition, Wanted]


def fits_csv(offsets: Mapping[str, Mapping[TopicPartition, Wanted]]) -> bool:
    """Whether Kafka's CSV says all of it."""
    every = [wanted.commit for found in offsets.values() for wanted in found.values()]
    return all(commit is not None and not commit.metadata for commit in every)


def plan_csv(offsets: Mapping[str, Mapping[TopicPartition, Wanted]], *, with_group: bool) -> str:
    """Lines without a header; with the group in front where the question was about several."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for group, found in sorted(offsets.items()):
        for tp, wanted in sorted(found.items()):
            if wanted.commit is not None:
                row: tuple[str | int, ...] = (tp.topic, tp.partition, wanted.commit.offset)
                writer.writerow((group, *row) if with_group else row)
    return text.getvalue()


def plan_json(offsets: Mapping[str, Mapping[TopicPartition, Wanted]]) -> str:
    """One document: a list of groups, each with its offsets; ``null`` for no commit."""
    document = [
        {
            "group": group,
            "offsets": [_entry(tp, wanted.commit) for tp, wanted in sorted(found.items())],
        }
        for group, found in sorted(offsets.items())
    ]
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def read_plan(text: str, groups: Sequence[str], where: str) -> dict[str, Offsets]:
    """The plan of each group in a file; ``where`` is its name, for errors.

    Three columns are about the one group that was named; with four, or as JSON, the file names the groups.

    Raises:
        RotaError: it is no plan, says two things of one partition, or nothing about a group that was named.
    """
    document = _document(text)
    found = _from_csv(text, groups, where) if document is None else _from_json(document, where)
    missing = [group for group in groups if group not in found]
    if missing:
        raise RotaError(f"{where} holds no plan for group {', '.join(missing)}")
    return {group: found[group] for group in groups} if groups else found


def _from_csv(text: str, groups: Sequence[str], where: str) -> dict[str, Offsets]:
    found: dict[str, Offsets] = {}
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                _line(found, row, groups, f"{where}, line {reader.line_num}")
    except csv.Error as error:
        raise RotaError(f"{where}, line {reader.line_num}: {error}") from None
    if not found:
        raise RotaError(f"{where} holds no plan: it is empty")
    return found


def _line(found: dict[str, Offsets], row: Sequence[str], groups: Sequence[str], at: str) -> None:
    if len(row) == 3 and len(groups) != 1:
        raise RotaError(
            f"{at}: a plan without groups (topic,partition,offset) is for one group: name it alone"
        )
    if len(row) not in {3, 4}:
        raise RotaError(f"{at}: expected topic,partition,offset or group,topic,partition,offset")
    group, topic, number, offset = row if len(row) == 4 else (groups[0], *row)
    tp = TopicPartition(topic.strip(), _number(number.strip(), at))
    _add(found, group, tp, Commit(_number(offset.strip(), at)), at)


def _document(text: str) -> list[Any] | None:
    """The groups of a JSON plan; None for what is no JSON: a group's name may begin like one."""
    if text.lstrip()[:1] not in {"[", "{"}:
        return None
    try:
        document = json.loads(text)
    except ValueError:
        return None
    return document if isinstance(document, list) else [document]


def _from_json(document: list[Any], where: str) -> dict[str, Offsets]:
    found: dict[str, Offsets] = {}
    try:
        for each in document:
            found.setdefault(each["group"], {})
            for entry in each["offsets"]:
                tp = TopicPartition(str(entry["topic"]), _number(str(entry["partition"]), where))
                _add(found, each["group"], tp, _commit(entry, where), where)
    except (KeyError, TypeError) as error:
        raise RotaError(f"{where} is no plan: {type(error).__name__}: {error}") from None
    return found


def _add(found: dict[str, Offsets], group: str, tp: TopicPartition, commit: Commit | None, at: str) -> None:
    offsets = found.setdefault(group, {})
    if tp in offsets:
        raise RotaError(f"{at}: {tp} of group {group} is there twice")
    offsets[tp] = Wanted(commit)


def _commit(entry: Mapping[str, Any], where: str) -> Commit | None:
    if entry["offset"] is None:
        return None
    epoch = entry.get("leaderEpoch")
    return Commit(
        _number(str(entry["offset"]), where),
        None if epoch is None else _number(str(epoch), where),
        str(entry.get("metadata") or ""),
    )


def _entry(tp: TopicPartition, commit: Commit | None) -> dict[str, Any]:
    return {
        "topic": tp.topic,
        "partition": tp.partition,
        "offset": None if commit is None else commit.offset,
        "leaderEpoch": None if commit is None else commit.leader_epoch,
        "metadata": "" if commit is None else commit.metadata,
    }


def _number(text: str, at: str) -> int:
    if not text.isdecimal() or len(text) > 19:
        raise RotaError(f"{at}: {text!r} is no partition or offset")
    return int(text)
