"""Plans in files: Kafka's CSV, both ways, and a JSON form for what CSV cannot say.

``kafka-consumer-groups --export`` writes ``topic,partition,offset`` for one group and ``group,topic,partition,offset``
for several, without a header, and its ``--from-file`` reads them. A commit's metadata, or that there is to be none at
all, has no place there: a rollback that needs it is JSON. Whatever a broker could not be sent (a number that is too
great, text that is no UTF-8) is named when the file is read, with its place.
"""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any, Final

from rota.model import RotaError, TopicPartition
from rota.monitor.facts import Commit
from rota.monitor.reset import Wanted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["fits_csv", "plan_csv", "plan_json", "read_plan"]

Offsets = dict[TopicPartition, Wanted]

MOST: Final = {"partition": 2**31 - 1, "offset": 2**63 - 1, "leaderEpoch": 2**31 - 1}
MOST_BYTES: Final = 2**15 - 1
"""Of a text: its length is an int16 on the wire."""
MOST_DIGITS: Final = 4_000
"""Python reads no number that is much longer."""
_TOPIC: Final = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_SHOWN: Final = 60
"""So much of a wrong value is repeated."""


def fits_csv(offsets: Mapping[str, Mapping[TopicPartition, Wanted]]) -> bool:
    """Whether Kafka's CSV says all of it."""
    every = [wanted for found in offsets.values() for wanted in found.values()]
    return all(
        wanted.commit is not None and not wanted.commit.metadata and not wanted.exact for wanted in every
    )


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
        RotaError: it is no plan, says what could not be sent, two things of one partition, or nothing about a group
            that was named.
    """
    document = _document(text, where)
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
    tp = TopicPartition(_topic(topic.strip(), at), _number(number.strip(), "partition", at))
    _add(found, _group(group, at), tp, Wanted(Commit(_number(offset.strip(), "offset", at))), at)


def _document(text: str, where: str) -> list[Any] | None:
    """The groups of a JSON plan; None for what is no JSON: a group's name may begin like one."""
    if text.lstrip()[:1] not in {"[", "{"}:
        return None
    try:
        document = json.loads(text)
    except ValueError:
        return None
    except RecursionError:
        raise RotaError(f"{where} is no plan: it is nested too deeply") from None
    return document if isinstance(document, list) else [document]


def _from_json(document: list[Any], where: str) -> dict[str, Offsets]:
    found: dict[str, Offsets] = {}
    for number, plan in enumerate(document, 1):
        at = f"{where}, plan {number}"
        group = _group(_value(plan, "group", at, '{"group": …, "offsets": …}'), at)
        entries = _value(plan, "offsets", at, '{"group": …, "offsets": …}')
        if not isinstance(entries, list):
            raise RotaError(f'{at}: "offsets" must be a list, not {_shown(entries)}')
        found.setdefault(group, {})
        for place, entry in enumerate(entries, 1):
            _entry_of(found, group, entry, f"{at}, offset {place}")
    return found


def _entry_of(found: dict[str, Offsets], group: str, entry: Any, at: str) -> None:
    topic, number, offset = (
        _value(entry, key, at, '{"topic": …, "partition": …, "offset": …}')
        for key in ("topic", "partition", "offset")
    )
    tp = TopicPartition(_topic(topic, at), _number(number, "partition", at))
    if offset is None:
        _add(found, group, tp, Wanted(None), at)
        return
    epoch = entry.get("leaderEpoch")
    commit = Commit(
        _number(offset, "offset", at),
        None if epoch is None else _number(epoch, "leaderEpoch", at),
        _metadata(entry.get("metadata"), at),
    )
    _add(found, group, tp, Wanted(commit, exact={"leaderEpoch", "metadata"} <= entry.keys()), at)


def _add(found: dict[str, Offsets], group: str, tp: TopicPartition, wanted: Wanted, at: str) -> None:
    offsets = found.setdefault(group, {})
    if tp in offsets:
        raise RotaError(f"{at}: {tp} of group {group} is there twice")
    offsets[tp] = wanted


def _entry(tp: TopicPartition, commit: Commit | None) -> dict[str, Any]:
    return {
        "topic": tp.topic,
        "partition": tp.partition,
        "offset": None if commit is None else commit.offset,
        "leaderEpoch": None if commit is None else commit.leader_epoch,
        "metadata": "" if commit is None else commit.metadata,
    }


# Values: each is what it must be, or an error says where it is not.


def _value(holder: Any, key: str, at: str, form: str) -> Any:
    if not isinstance(holder, dict):
        raise RotaError(f"{at}: expected {form}, not {_shown(holder)}")
    if key not in holder:
        raise RotaError(f'{at}: there is no "{key}"; expected {form}')
    return holder[key]


def _group(value: Any, at: str) -> str:
    if not isinstance(value, str) or not value or not _is_utf8(value):
        raise RotaError(f"{at}: {_shown(value)} cannot be a group's name: it must be text, and not empty")
    return _short(value, "the group's name", at)


def _topic(value: Any, at: str) -> str:
    if not isinstance(value, str) or not _TOPIC.fullmatch(value):
        raise RotaError(f"{at}: {_shown(value)} cannot be a topic's name (1 to 249 of a-z A-Z 0-9 . _ -)")
    return value


def _metadata(value: Any, at: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RotaError(f"{at}: metadata must be text, not {_shown(value)}")
    if not _is_utf8(value):
        raise RotaError(f"{at}: metadata {_shown(value)} cannot be written as UTF-8")
    return _short(value, "metadata", at)


def _number(value: Any, what: str, at: str) -> int:
    text = value if isinstance(value, str) else str(value) if type(value) is int else ""
    if not text.isdecimal():
        raise RotaError(f"{at}: {what} {_shown(value)} is no number from 0 on")
    if len(text) > MOST_DIGITS or int(text) > MOST[what]:
        raise RotaError(f"{at}: {what} {_shown(value, quoted=False)} is too great: at most {MOST[what]}")
    return int(text)


def _short(text: str, what: str, at: str) -> str:
    size = len(text.encode())
    if size > MOST_BYTES:
        raise RotaError(f"{at}: {what} has {size:,} bytes: at most {MOST_BYTES:,} can be sent")
    return text


def _is_utf8(text: str) -> bool:
    """JSON, and a terminal's input, may hold half of a character (a lone surrogate)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(value: Any, *, quoted: bool = True) -> str:
    """A value as it stands there, if that is not too long."""
    text = ascii(value) if not isinstance(value, str) or not _is_utf8(value) else repr(value)
    text = text if quoted else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
