"""What a broker's own log says of members that went, though a test did not mean them to.

On a busy machine a session may end, or a poll come too late, that nobody meant to end. A monitor that tells of it is
right, and what was provoked has to be tried again. Whether it was so is not for the monitor to say: the broker knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from rota.monitor.rebalances.broker_log import LineKind, read_line
from rota.timeline.events import RebalanceReason

if TYPE_CHECKING:
    from bench.monitor.provoke import Provoked

    from rota.monitor.rebalances import Told

__all__ = ["Departure", "departures", "really_happened"]

BEFORE_MS: Final = 60_000
"""Who was lost so long before may be back in the time in question."""
SKEW_MS: Final = 100

_TIME: Final = re.compile(r"\[?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3})\]? ")
_OWN: Final = re.compile(r" INFO group (?P<group>\S+): (?P<member>\S+) (?P<words>.+)$")
"""A line of Rota's broker."""
_EXPIRED: Final = frozenset({RebalanceReason.SESSION_EXPIRED})
_LEFT: Final = frozenset({RebalanceReason.MEMBER_LEFT, RebalanceReason.POLL_INTERVAL_EXCEEDED})
"""A client leaves for either reason, and the log cannot always tell which."""
_KAFKA: Final = {LineKind.EXPIRED: _EXPIRED, LineKind.LEFT: _LEFT}
_ROTA: Final = {reason.words: reasons for reasons in (_EXPIRED, _LEFT) for reason in reasons}
_MEANT: Final[Mapping[str, frozenset[RebalanceReason]]] = {
    "leave": _LEFT,
    "poll": _LEFT,
    "static": _LEFT,
    "killed": _EXPIRED,
}
"""How the member goes to whom something is done; otherwise nobody is to go."""
_BACK: Final = frozenset({RebalanceReason.MEMBER_JOINED, RebalanceReason.MEMBER_REJOINED})


class Departure(NamedTuple):
    """A member that went; ``reasons`` are those that say the same of it."""

    at_ms: int
    group: str
    member: str
    reasons: frozenset[RebalanceReason]


def departures(lines: Iterable[str]) -> Iterator[Departure]:
    """All that the log of either broker tells of."""
    for text in lines:
        time = _TIME.match(text)
        if time is None:
            continue
        at_ms = round(datetime.strptime(time[1], "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp() * 1000)
        line, own = read_line(text), _OWN.search(text.rstrip("\n"))
        if line is not None and line.kind in _KAFKA:
            yield Departure(at_ms, line.group, line.member, _KAFKA[line.kind])
        elif own is not None:
            for words, reasons in _ROTA.items():
                if own["words"] == words or own["words"].startswith(f"{words} ("):
                    yield Departure(at_ms, own["group"], own["member"], reasons)


def really_happened(
    done: Provoked, told: Sequence[Told], gone: Iterable[Departure], deeds: Sequence[Provoked] = ()
) -> bool:
    """Whether the first cause that is told of that time is a departure that nobody meant, or the return from one.

    ``told``, ``gone`` and ``deeds`` (all that was done) are of the group in which it was done.
    """
    names = {member: name for each in told for member, name in each.names.items()}
    then = [each for each in told if done.since_ms - SKEW_MS <= each.at_ms <= done.expires_ms]
    first = next((each.verdicts[0] for each in then if each.verdicts), None)
    if first is None:
        return False
    who = names.get(first.member, first.member)
    return any(
        names.get(each.member, each.member) == who
        and done.since_ms - BEFORE_MS <= each.at_ms <= done.expires_ms
        and first.reason in each.reasons | _BACK
        and not any(_was_meant(each, who, deed) for deed in (done, *deeds))
        for each in gone
    )


def _was_meant(gone: Departure, who: str, deed: Provoked) -> bool:
    return (
        who == deed.client_id
        and deed.since_ms - SKEW_MS <= gone.at_ms <= deed.expires_ms
        and bool(gone.reasons & _MEANT.get(deed.kind, frozenset()))
    )
