"""``rota dlq show``: what is in a topic of dead letters."""

from __future__ import annotations

import heapq
import os
import unicodedata
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from rota.cli.dlq import (
    bounds_of,
    check_exceptions,
    partitions_of,
    read,
    reader,
    selection,
    selection_options,
)
from rota.cli.options import cluster_options, json_option
from rota.cli.output import count_of, emit, emit_json, note, table
from rota.cli.record_format import text_or_base64

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rota.cluster import Cluster
    from rota.consumer.failed.letter_box import Found, Selection, Summary
    from rota.model import TopicPartition

__all__ = ["show"]

DEFAULT_LIMIT = 50
WIDEST = {"GROUP": 60, "EXCEPTION": 60, "KEY": 24, "VALUE": 40}
HEADER = ("LETTER", "FAILED-AT", "GROUP", "FROM", "ATTEMPTS", "EXCEPTION", "KEY", "VALUE")


@click.command()
@click.argument("topic")
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000_000),
    default=DEFAULT_LIMIT,
    show_default=True,
    metavar="N",
    help="Show the N letters that failed last.",
)
@click.option("--summary", is_flag=True, help="Count them by exception, group and topic.")
@selection_options
@json_option("Print one JSON object a letter, with everything; with --summary one document.")
@cluster_options
def show(
    topic: str,
    limit: int,
    summary: bool,
    only_exception: Sequence[str],
    only_group: Sequence[str],
    offsets: Sequence[str],
    since: str | None,
    as_json: bool,
    cluster: Cluster,
) -> None:
    """Show the dead letters in TOPIC, the latest last: what failed, where it was, how often and why.

    LETTER is partition:offset in TOPIC, as --offset takes it. A `-` is what a record does not say: somebody else
    has written it.

    \b
    Examples:
      rota dlq show orders.dlq
      rota dlq show orders.dlq --summary
      rota dlq show orders.dlq --only-exception ValueError --from 2h --limit 5
      rota dlq show orders.dlq --offset 0:17 --json
    """
    chosen = selection(only_exception, only_group, offsets, since)
    if summary:
        _summarise(cluster, topic, chosen, as_json=as_json)
        return
    total, latest = _latest(cluster, topic, chosen, limit)
    if not latest:
        check_exceptions(cluster, topic, chosen)
    if as_json:
        for found in latest:
            emit_json(_document(found), indent=None)
        _note_others(sum(found.letter is None for found in latest), len(latest))
        return
    if latest:
        for line in table(HEADER, map(_row, latest), right=["ATTEMPTS"]):
            emit(line)
    if not latest:
        note(f"No dead letters in {topic}{'' if chosen.everything else ' that are meant'}.")
    elif total > len(latest):
        note("", f"The last {len(latest)} of {total:,}: --limit shows more, --summary counts them.")
    _note_others(sum(found.letter is None for found in latest), len(latest))


def _note_others(others: int, shown: int) -> None:
    """Of so many records that were shown, how many somebody else has written."""
    if others:
        words = (
            "is no dead letter: it does not say where it comes"
            if others == 1
            else "are no dead letters: they do not say where they come"
        )
        note(f"{others:,} of these {count_of(shown, 'record')} {words} from.")


def _summarise(cluster: Cluster, topic: str, chosen: Selection, *, as_json: bool) -> None:
    from rota.consumer.failed.letter_box import Summary

    summary = Summary()
    bounds = bounds_of(cluster, partitions_of(cluster, topic), chosen)
    for found in _letters(cluster, bounds, chosen):
        summary.add(found)
    if not summary.kinds:
        check_exceptions(cluster, topic, chosen)
    rows = sorted(summary.kinds.items(), key=lambda row: (-row[1][0], row[0]))
    if as_json:
        emit_json({"topic": topic, "letters": _total(summary), "kinds": [_kind(*row) for row in rows]})
        _note_others(_others(summary), _total(summary))
        return
    header = ("LETTERS", "EXCEPTION", "GROUP", "FROM", "FIRST", "LAST", "LATEST-MESSAGE")
    cells = [
        (
            count,
            _cut(kind.exception, WIDEST["EXCEPTION"]) or "-",
            _cut(kind.group, WIDEST["GROUP"]) or "-",
            kind.topic or "-",
            _when(first),
            _when(last),
            _cut(said, WIDEST["EXCEPTION"]),
        )
        for kind, (count, first, last, said) in rows
    ]
    if cells:
        for line in table(header, cells, right=["LETTERS"]):
            emit(line)
    others = _others(summary)
    note(f"{count_of(_total(summary) - others, 'dead letter')} in {topic}.")
    _note_others(others, _total(summary))


def _latest(cluster: Cluster, topic: str, chosen: Selection, limit: int) -> tuple[int, list[Found]]:
    """How many there are, and those that failed last, in the order of their failures."""
    partitions = partitions_of(cluster, topic)
    bounds = bounds_of(cluster, partitions, chosen)
    unread = 0
    if chosen.everything:  # the last ones of each partition are enough
        whole, bounds = bounds, {p: (max(first, end - limit), end) for p, (first, end) in bounds.items()}
        unread = sum(bounds[p][0] - first for p, (first, _) in whole.items())
    total = 0
    heap: list[tuple[int, int, int, Found]] = []
    for found in _letters(cluster, bounds, chosen):
        total += 1
        message = found.message
        heapq.heappush(heap, (found.failed_at_ms, message.partition(), message.offset(), found))
        if len(heap) > limit:
            heapq.heappop(heap)
    return unread + total, [found for _, _, _, found in sorted(heap, key=lambda entry: entry[:3])]


def _letters(
    cluster: Cluster, bounds: Mapping[TopicPartition, tuple[int, int]], chosen: Selection
) -> Iterator[Found]:
    """Those that are meant."""
    from rota.consumer.failed.letter_box import Found

    consumer = reader(cluster, f"rota-dlq-show-{os.getpid()}")
    try:
        for message in read(consumer, bounds):
            found = Found.of(message) if message is not None else None  # type: ignore[arg-type]
            if found is not None and chosen.takes(found):
                yield found
    finally:
        consumer.close()


def _row(found: Found) -> tuple[object, ...]:
    message, letter = found
    place = f"{message.partition()}:{message.offset()}"
    key, value = _preview(message.key(), WIDEST["KEY"]), _preview(message.value(), WIDEST["VALUE"])
    if letter is None:
        return (place, _when(found.failed_at_ms), "-", "-", "-", "-", key, value)
    origin = letter.origin
    exception = f"{letter.exception}: {letter.message}" if letter.message else letter.exception
    return (
        place,
        _when(found.failed_at_ms),
        _cut(letter.group, WIDEST["GROUP"]) or "-",
        f"{origin.topic}-{origin.partition}@{origin.offset}",
        origin.attempts or "-",
        _cut(exception, WIDEST["EXCEPTION"]) or "-",
        key,
        value,
    )


def _document(found: Found) -> dict[str, Any]:
    """Everything, under names that do not change."""
    from rota.consumer.clients.headers import headers_of
    from rota.consumer.failed.letters import without_ours

    message, letter = found
    document: dict[str, Any] = {
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "timestamp": message.timestamp()[1] if message.timestamp()[0] else None,
        "origin": None,
    }
    if letter is not None:
        origin = letter.origin
        document |= {
            "origin": {
                "topic": origin.topic,
                "partition": origin.partition,
                "offset": origin.offset,
                "timestamp": origin.timestamp_ms if origin.timestamp_ms >= 0 else None,
            },
            "group": letter.group,
            "attempts": origin.attempts,
            "exception": {"type": letter.exception, "message": letter.message, "trace": letter.trace},
            "failedAt": letter.failed_at_ms,
        }
    document |= {**text_or_base64("key", message.key()), **text_or_base64("value", message.value())}
    headers = without_ours(headers_of(message))
    document["headers"] = [{"name": name, **text_or_base64("value", value)} for name, value in headers]
    return document


def _kind(kind: Any, counted: tuple[int, int, int, str]) -> dict[str, Any]:
    count, first, last, said = counted
    return {
        "letters": count,
        "exception": kind.exception or None,
        "group": kind.group or None,
        "from": kind.topic or None,
        "firstFailedAt": first,
        "lastFailedAt": last,
        "latestMessage": said,
    }


def _total(summary: Summary) -> int:
    return sum(count for count, _, _, _ in summary.kinds.values())


def _others(summary: Summary) -> int:
    return sum(counted[0] for kind, counted in summary.kinds.items() if not kind.topic)


def _when(ms: int) -> str:
    try:
        return datetime.fromtimestamp(ms / 1000).astimezone().isoformat(sep=" ", timespec="seconds")[:19]
    except (ValueError, OverflowError, OSError):
        return "-"


def _preview(data: bytes | None, widest: int) -> str:
    if data is None:
        return "null"
    return _cut(data[: 4 * widest + 4].decode(errors="backslashreplace"), widest)


def _cut(text: str, widest: int) -> str:
    """On one line, nothing in it that a terminal would obey."""
    plain = "".join(
        each if each == " " or unicodedata.category(each)[0] not in "CZ" else repr(each)[1:-1]
        for each in text
    )
    return plain if len(plain) <= widest else plain[: widest - 1] + "…"
