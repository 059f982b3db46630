"""How a member went: worked out from when it was last heard of.

Kafka records that a member is gone, never why. There are three ways to go, and each has its own time: who leaves was
alive a moment ago; whose session expired was silent for ``session.timeout.ms``; and who did not poll for
``max.poll.interval.ms`` sends an ordinary LeaveGroup (both of Java's and of librdkafka's consumers do), but had not
made any progress for that long, and comes back from the same process as soon as it polls again.

The only signs of life that are recorded are commits. A member that commits seldom, or reads nothing, cannot be judged
by them, and what is not known here is said to be a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rota.model import TopicPartition
from rota.monitor.findings import Certainty
from rota.monitor.rebalances.broker_log import Line, LineKind
from rota.monitor.rebalances.verdicts import Verdict
from rota.timeline.events import RebalanceReason
from rota.timeline.look import seconds

__all__ = ["Departure", "Silence", "judge", "silence"]

TICK_MS: Final = 750
"""How late a broker may notice the end of a time, and a client that it has not polled (it looks twice a second)."""
HEARTBEAT_MS: Final = 3_000
"""``heartbeat.interval.ms`` of classic groups' members unless it is set."""
AUTO_COMMIT_MS: Final = 5_000
"""``auto.commit.interval.ms`` unless it is set: so long after its last poll a member may commit what it had polled."""


@dataclass(slots=True)
class Departure:
    """A member that is gone, and what is known of its end. Times are milliseconds since 1970, by the brokers' clock.

    It went between ``earliest_ms`` and ``latest_ms``. ``signs_ms`` are its last commits, oldest first;
    ``session_ms`` and ``poll_ms`` its session timeout and ``max.poll.interval.ms`` where they are known.
    ``heartbeat_ms`` is how long before its last commit its last heartbeat may have been: 0 where commits count as
    heartbeats (classic groups).
    """

    member: str
    earliest_ms: int
    latest_ms: int
    signs_ms: tuple[int, ...] = ()
    session_ms: int | None = None
    poll_ms: int | None = None
    heartbeat_ms: int = 0
    static: bool = False
    away: bool = False
    """Static, in a consumer group: it had said that it goes and will be back."""
    revoking_since_ms: int | None = None
    """Since when it had been asked to give up partitions, and had not (KIP-848)."""
    back_ms: int | None = None
    """When a member with the same client id came from the same host, after it went."""
    same_process: bool = False
    """It came back under the same member id, which a process chooses when it starts (KIP-848): it was never dead."""
    quiet: bool = False
    """Those who stayed had committed nothing since either: there may have been nothing to read."""
    logged: Line | None = None
    """What a broker's log says of it."""
    held: tuple[TopicPartition, ...] = ()
    """What it had when it went."""

    @property
    def usual_ms(self) -> int:
        """How far apart its commits were, but for the longest few; of a member that has hardly begun, what is usual for
        any.
        """
        gaps = sorted(
            later - earlier for earlier, later in zip(self.signs_ms, self.signs_ms[1:], strict=False)
        )
        return gaps[-3] if len(gaps) > 3 else max([AUTO_COMMIT_MS, *gaps])


def silence(gone: Departure) -> Silence | None:
    """Of a member that fell silent: for how long before it went; None: it left, or nothing of it is known."""
    verdict = judge(gone)
    if not gone.signs_ms:
        return None
    sure, last_ms = verdict.certainty != Certainty.GUESS, gone.signs_ms[-1]
    if verdict.reason == RebalanceReason.SESSION_EXPIRED:
        limit_ms = gone.session_ms or 0
        # Alive until at most a heartbeat's interval after the last one; that one may precede a commit (KIP-848).
        least_ms = limit_ms - (gone.heartbeat_ms or min(limit_ms // 3, HEARTBEAT_MS))
        return Silence(last_ms, last_ms + limit_ms - gone.heartbeat_ms, least_ms if sure else 0, sure)
    if verdict.reason == RebalanceReason.POLL_INTERVAL_EXCEEDED:
        limit_ms = gone.poll_ms or 0
        earliest_ms = last_ms + limit_ms - min(gone.usual_ms, AUTO_COMMIT_MS)
        return Silence(last_ms, earliest_ms, limit_ms if sure else 0, sure)
    return None


@dataclass(frozen=True, slots=True)
class Silence:
    """``since_ms`` is the last sign of life, ``earliest_ms`` the earliest moment at which it was taken out then, and
    for ``least_ms`` at least it had read nothing by that time. Not ``sure``: it may have left as well.
    """

    since_ms: int
    earliest_ms: int
    least_ms: int
    sure: bool


@dataclass(frozen=True, slots=True)
class _Way:
    """A way to go, and between which silences it is to be expected."""

    reason: RebalanceReason
    from_ms: int
    until_ms: int


def judge(gone: Departure) -> Verdict:
    """The likeliest way it went."""
    if gone.logged is not None:
        return _by_log(gone, gone.logged)
    return _by_timing(gone)


def _by_log(gone: Departure, line: Line) -> Verdict:
    """The broker knows whether it left or was thrown out; of those that left only some say why."""
    if line.kind == LineKind.STUCK:
        words = f"the broker's log: {line.text}"
        return Verdict(RebalanceReason.REVOCATION_TIMEOUT, gone.member, Certainty.CERTAIN, words)
    timed = _by_timing(gone)
    if line.kind == LineKind.EXPIRED:
        if gone.same_process and timed.reason == RebalanceReason.POLL_INTERVAL_EXCEEDED:
            return timed._replace(
                evidence=f"{timed.evidence}; the broker's log: its session expired, as librdkafka falls silent then"
            )
        words = "the broker's log: no heartbeat came within its session timeout"
        return Verdict(RebalanceReason.SESSION_EXPIRED, gone.member, Certainty.CERTAIN, words)
    if line.text:
        poll = "poll timeout" in line.text
        reason = RebalanceReason.POLL_INTERVAL_EXCEEDED if poll else RebalanceReason.MEMBER_LEFT
        words = f"the client's reason, in the broker's log: {line.text}"
        return Verdict(reason, gone.member, Certainty.CERTAIN, words)
    words = "the broker's log: it asked to leave, and gave no reason"
    if timed.reason == RebalanceReason.POLL_INTERVAL_EXCEEDED:
        return timed._replace(evidence=f"{timed.evidence}; {words}")
    if timed.reason == RebalanceReason.MEMBER_LEFT and timed.certainty == Certainty.LIKELY:
        return timed._replace(certainty=Certainty.CERTAIN, evidence=f"{words}; {timed.evidence}", doubts="")
    doubts = "librdkafka asks to leave also when it was not polled in time, and does not say so"
    return Verdict(RebalanceReason.MEMBER_LEFT, gone.member, Certainty.LIKELY, words, doubts)


def _by_timing(gone: Departure) -> Verdict:
    if gone.away:
        return Verdict(
            RebalanceReason.SESSION_EXPIRED,
            gone.member,
            Certainty.CERTAIN,
            "a static member that had gone for a moment was not back within its session timeout",
        )
    stuck = _stuck(gone)
    if stuck is not None:
        return stuck
    if not gone.signs_ms:
        return _unheard(gone)
    return _by_silence(gone)


def _stuck(gone: Departure) -> Verdict | None:
    """It was thrown out because it did not let go of partitions (KIP-848)."""
    since_ms, limit_ms = gone.revoking_since_ms, gone.poll_ms
    if since_ms is None or limit_ms is None or abs(gone.latest_ms - since_ms - limit_ms) > 2 * TICK_MS:
        return None
    return Verdict(
        RebalanceReason.REVOCATION_TIMEOUT,
        gone.member,
        Certainty.LIKELY,
        f"asked to give up partitions, it did not for {seconds(gone.latest_ms - since_ms)}, its rebalance timeout",
    )


def _unheard(gone: Departure) -> Verdict:
    """It never committed anything that is still known."""
    if gone.static and not gone.heartbeat_ms:
        return Verdict(
            RebalanceReason.SESSION_EXPIRED,
            gone.member,
            Certainty.LIKELY,
            "a static member does not leave when it is closed",
            "an operator may have removed it",
        )
    if gone.back_ms is not None:
        return Verdict(
            RebalanceReason.MEMBER_LEFT,
            gone.member,
            Certainty.GUESS,
            f"it committed nothing, and the same client id is back from the same host "
            f"{seconds(max(gone.back_ms - gone.latest_ms, 0))} later",
            "a restart, or it polled too seldom, or its session expired: Kafka does not record which",
        )
    return Verdict(
        RebalanceReason.MEMBER_LEFT,
        gone.member,
        Certainty.GUESS,
        "it committed nothing by which to tell when it was last alive",
        "its session may have expired: Kafka does not record which",
    )


def _by_silence(gone: Departure) -> Verdict:
    last_ms, usual_ms = gone.signs_ms[-1], gone.usual_ms
    low, high = max(gone.earliest_ms - last_ms, 0), max(gone.latest_ms - last_ms, 0)
    if gone.session_ms is None and low > usual_ms + TICK_MS:
        return _untimed(gone, low, high)
    ways = _ways(gone, usual_ms)
    fitting = [way for way in ways if way.from_ms <= high and low <= way.until_ms]
    if len(fitting) > 1:
        return _choose(gone, fitting, low, high)
    if fitting:
        return _fits(gone, fitting[0].reason, low, high)
    possible = [way for way in ways if way.from_ms <= high]
    if len(possible) == 1:  # silent for longer than usual, but for less than any timeout
        return _fits(gone, possible[0].reason, low, high)
    return _longer_than_all(gone, low, high)


def _fits(gone: Departure, reason: RebalanceReason, low: int, high: int) -> Verdict:
    evidence = _evidence(gone, reason, low, high)
    if gone.quiet and reason != RebalanceReason.MEMBER_LEFT:
        doubts = "but nobody else committed meanwhile, so it may have had nothing to read, and left"
        return Verdict(reason, gone.member, Certainty.GUESS, evidence, doubts)
    if reason == RebalanceReason.MEMBER_LEFT and _was_frozen(gone):
        gap = seconds(gone.signs_ms[-1] - gone.signs_ms[-2])
        doubts = f"nothing of it came for {gap} before that, as if it or the broker was frozen: "
        doubts += "an expired session fits as well"
        return Verdict(reason, gone.member, Certainty.GUESS, evidence, doubts)
    return Verdict(reason, gone.member, Certainty.LIKELY, evidence)


def _was_frozen(gone: Departure) -> bool:
    """Whether its last commit came after a silence for which sessions end, and may have waited for as long."""
    if len(gone.signs_ms) < 2 or not gone.session_ms:
        return False
    gap_ms = gone.signs_ms[-1] - gone.signs_ms[-2]
    return gap_ms > gone.usual_ms + TICK_MS and gap_ms >= gone.session_ms - gone.heartbeat_ms - TICK_MS


def _untimed(gone: Departure, low: int, high: int) -> Verdict:
    """It was silent for longer than usual, and nobody knows its timeouts."""
    words = f"its last commit was {_silence(low, high)} before, and it used to commit every {seconds(gone.usual_ms)}"
    doubts = "or it polled too seldom, or had nothing to read and left: its timeouts are not known here"
    return Verdict(RebalanceReason.SESSION_EXPIRED, gone.member, Certainty.GUESS, words, doubts)


def _ways(gone: Departure, usual_ms: int) -> list[_Way]:
    """Each way to go, with the silences that go with it."""
    ways = []
    if not gone.static or gone.heartbeat_ms:
        ways.append(_Way(RebalanceReason.MEMBER_LEFT, 0, usual_ms + TICK_MS))
    if gone.session_ms:
        first = gone.session_ms - gone.heartbeat_ms - TICK_MS // 3
        ways.append(_Way(RebalanceReason.SESSION_EXPIRED, first, gone.session_ms + usual_ms + TICK_MS))
    if gone.poll_ms and (not gone.static or gone.heartbeat_ms):
        before = min(usual_ms, AUTO_COMMIT_MS)
        last = gone.poll_ms + usual_ms + 2 * TICK_MS
        ways.append(_Way(RebalanceReason.POLL_INTERVAL_EXCEEDED, gone.poll_ms - before, last))
        if gone.heartbeat_ms and gone.session_ms:
            # librdkafka in a consumer group does not leave then: it falls silent, and its session expires.
            first, last = gone.poll_ms + gone.session_ms - gone.heartbeat_ms - before, last + gone.session_ms
            ways.append(_Way(RebalanceReason.POLL_INTERVAL_EXCEEDED, first, last))
    return ways


def _choose(gone: Departure, fitting: list[_Way], low: int, high: int) -> Verdict:
    """Several fit: coming back from the same place speaks for a poll interval, else the nearest time does."""
    names = [way.reason for way in fitting]
    middle = (low + high) // 2
    if gone.back_ms is not None and RebalanceReason.POLL_INTERVAL_EXCEEDED in names:
        chosen = RebalanceReason.POLL_INTERVAL_EXCEEDED
    else:
        chosen = min(fitting, key=lambda way: abs(middle - _centre(gone, way.reason))).reason
    others = " or ".join(_SHORT[reason] for reason in names if reason != chosen)
    return Verdict(
        chosen, gone.member, Certainty.GUESS, _evidence(gone, chosen, low, high), f"{others} fits as well"
    )


def _centre(gone: Departure, reason: RebalanceReason) -> int:
    if reason == RebalanceReason.SESSION_EXPIRED:
        return (gone.session_ms or 0) + gone.usual_ms // 2
    return (gone.poll_ms or 0) if reason == RebalanceReason.POLL_INTERVAL_EXCEEDED else 0


def _longer_than_all(gone: Departure, low: int, high: int) -> Verdict:
    """It had not committed for so long that its last commit says nothing."""
    silence = _silence(low, high)
    if gone.static and not gone.heartbeat_ms:
        words = f"a static member does not leave when it is closed; its last commit was {silence} before"
        return Verdict(RebalanceReason.SESSION_EXPIRED, gone.member, Certainty.LIKELY, words)
    longest_ms = max(gone.session_ms or 0, gone.poll_ms or 0)
    which = "longer than any of its timeouts" if low > longest_ms else "which is none of its timeouts"
    words = f"its last commit was {silence} before, {which}, so that says little"
    others = ["its session may have expired"]
    if gone.poll_ms and high >= gone.poll_ms - AUTO_COMMIT_MS:
        others.append("it polled too seldom")
    if gone.back_ms is not None:
        words += "; the same client id is back from the same host"
        others.append("it was started again")
    return Verdict(RebalanceReason.MEMBER_LEFT, gone.member, Certainty.GUESS, words, ", or ".join(others))


_SHORT: Final = {
    RebalanceReason.MEMBER_LEFT: "an orderly leave",
    RebalanceReason.SESSION_EXPIRED: "an expired session",
    RebalanceReason.POLL_INTERVAL_EXCEEDED: "polling too seldom",
}


def _evidence(gone: Departure, reason: RebalanceReason, low: int, high: int) -> str:
    silence = _silence(low, high)
    if reason == RebalanceReason.MEMBER_LEFT:
        return f"its last commit was only {silence} before"
    if reason == RebalanceReason.SESSION_EXPIRED:
        return f"its last commit was {silence} before, and its session timeout is {seconds(gone.session_ms or 0)}"
    back = "" if gone.back_ms is None else "; the same client id came back from the same host"
    return f"its last commit was {silence} before, and its max.poll.interval.ms is {seconds(gone.poll_ms or 0)}{back}"


def _silence(low: int, high: int) -> str:
    """How long it was not heard of: the earliest and the latest it may have gone."""
    if high - low < 1_000:
        return seconds((low + high) // 2)
    return f"{seconds(low).removesuffix(' s')} to {seconds(high)}"
