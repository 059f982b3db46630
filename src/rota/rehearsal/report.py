"""The end of a lab: its figures in words, as JSON, and as an exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rota.rehearsal.findings import finding_documents, finding_lines
from rota.timeline.look import seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rota.rehearsal.findings import Noted
    from rota.timeline import Summary

__all__ = ["exit_code", "summary_document", "summary_lines"]

MOST_LINES = 8


def exit_code(summary: Summary, trouble: str = "") -> int:
    """1 if an acknowledged record was lost or still unread at the end, if there was none, or on ``trouble``."""
    return 1 if summary.lost or summary.waiting or not summary.produced or trouble else 0


def summary_lines(summary: Summary, found: Sequence[Noted] = ()) -> list[str]:
    """What was measured, and what the doctor ``found``, for people."""
    lines = [_verdict(summary), ""]
    lines.append(
        f"Records: {summary.produced:,} acknowledged, {summary.delivered:,} of them delivered, "
        f"{summary.processed:,} processed; {_again(summary)}."
    )
    lines += [f"  {line}" for line in _repeats(summary)]
    lines += ["", "PARTITION  ACKNOWLEDGED  PROCESSED  TWICE  LOST  MOVES  PAUSES  LONGEST   TOTAL"]
    for part in summary.partitions:
        moves = sum(move.partition == part.partition for move in summary.moves)
        longest, total = (
            (seconds(part.longest_pause_ms), seconds(part.total_pause_ms)) if part.pauses else "--"
        )
        lines.append(
            f"{part.partition.partition:<9}  {part.produced:>12,}  {part.processed:>9,}  {part.processed_again:>5,}  "
            f"{part.lost:>4,}  {moves:>5}  {part.pauses:>6}  {longest:>7}  {total:>6}"
        )
    lines += _rebalances(summary)
    for overlap in summary.overlaps[:MOST_LINES]:
        lines.append(
            f"For {seconds(overlap.end_ms - overlap.start_ms)} {overlap.old_consumer} believed that it still owned "
            f"partition {overlap.partition.partition}, which {overlap.new_consumer} had been given."
        )
    return lines + finding_lines(found, summary.start_ms)


def summary_document(
    summary: Summary, trouble: str = "", found: Sequence[Noted] = (), **more: Any
) -> dict[str, Any]:
    """What was measured, and what the doctor ``found``, for programs; ``more`` goes in front."""
    document = {"findings": finding_documents(found), **summary.to_dict()}
    verdict = "failed" if exit_code(summary, trouble) else "passed"
    return {"verdict": verdict, **({"trouble": trouble} if trouble else {}), **more, **document}


def _rebalances(summary: Summary) -> list[str]:
    if not summary.rebalances:
        return []
    lines = ["", "Rebalances, and the longest pause of a partition while each went on:"]
    for number, item in enumerate(summary.rebalances, start=1):
        since = f"{(item.rebalance.started_ms - summary.start_ms) / 1000:.1f} s"
        took = item.rebalance.duration_ms
        ended = "not completed" if took is None else f"took {seconds(took)}"
        also = "".join(f"; {words}" for words in item.rebalance.also)
        pause = f"longest pause {seconds(item.longest_pause_ms)}" if item.paused else "no pause"
        moved = f"{item.moved} moved" if item.moved else "nothing moved"
        lines.append(f"  {number:>2}  {since:>7}: {item.rebalance.words}{also} ({ended}, {moved}, {pause})")
    return lines


def _verdict(summary: Summary) -> str:
    if summary.lost:
        return (
            f"LOST: {_records(summary.lost)} had been acknowledged, and the group went past them without "
            "processing them."
        )
    if summary.waiting:
        return (
            f"UNFINISHED: {_records(summary.waiting)} had been acknowledged and were not read before the end; "
            "they are still in the log."
        )
    if not summary.produced:
        return "Nothing was produced, so nothing was shown."
    return f"Nothing was lost: each of the {summary.produced:,} acknowledged records was processed."


def _again(summary: Summary) -> str:
    if not summary.processed_again:
        return "none was processed twice"
    return f"{_records(summary.processed_again)} processed twice"


def _repeats(summary: Summary) -> list[str]:
    found = [item for item in summary.duplicates if item.kind == "processed"]
    lines = [
        f"partition {item.partition.partition}, offsets {item.first_offset} to {item.last_offset}: by "
        f"{item.first_by}, then again by {item.again_by} ({item.cause})"
        for item in found[:MOST_LINES]
    ]
    if len(found) > MOST_LINES:
        lines.append(f"and {len(found) - MOST_LINES} more stretches; --json has them all")
    return lines


def _records(count: int) -> str:
    return f"{count:,} record{'' if count == 1 else 's'}"
