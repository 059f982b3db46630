"""Why a group rebalances, in words a person can act on.

What the protocol tells is little: since KIP-800 clients may say why they join or leave (the Java client does,
in fixed phrases; librdkafka does not), and a consumer's metadata shows what it subscribes to and holds. What
cannot be told apart is left open rather than guessed: a consumer that exceeds ``max.poll.interval.ms`` leaves
just like one that is closed unless it says so, but it comes back under the same client id, and that is
mentioned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.subscriptions import owned_partitions, subscribed_topics
from rota.timeline.events import RebalanceReason

if TYPE_CHECKING:
    from rota.coordinator.group import Group
    from rota.coordinator.members import Member, Protocols

__all__ = ["client_text", "join_detail", "note_silent_leaver", "of_leave", "of_rejoin"]

# Enough of the Java clients' phrases to know them by.
_POLL_TIMEOUT = "poll timeout"
_BY_ADMIN = "by an admin"
_GIVEN_ID = "given member-id"

_MOST_REMEMBERED_LEAVERS = 1_000


def client_text(text: str | None) -> str:
    """The client's own reason (KIP-800), unless it only says that it uses the id it was given."""
    return "" if text is None or _GIVEN_ID in text else text


def join_detail(group: Group, member: Member, text: str | None, now_ms: int) -> str:
    """What to say of a new member, besides that it is new."""
    left_ms = group.silent_leavers.pop((member.client_id, member.client_host), None)
    said = client_text(text)
    if said or left_ms is None:
        return said
    seconds = (now_ms - left_ms) / 1_000
    return (
        f"a client with the same id and host left {seconds:.1f} s ago without a reason:"
        " restarted, or max.poll.interval.ms exceeded"
    )


def note_silent_leaver(group: Group, member: Member, now_ms: int) -> None:
    """Remember a client that left without saying why, in case it comes back."""
    if len(group.silent_leavers) >= _MOST_REMEMBERED_LEAVERS:
        group.silent_leavers.clear()
    group.silent_leavers[member.client_id, member.client_host] = now_ms


def of_leave(text: str | None, *, by_instance: bool) -> RebalanceReason:
    """Why a member left; ``by_instance``: named by its instance id alone, as only administrators do."""
    if text is not None and _POLL_TIMEOUT in text:
        return RebalanceReason.POLL_INTERVAL_EXCEEDED
    if by_instance or (text is not None and _BY_ADMIN in text):
        return RebalanceReason.OPERATOR
    return RebalanceReason.MEMBER_LEFT


def of_rejoin(
    group: Group, member: Member, protocols: Protocols, text: str | None
) -> tuple[RebalanceReason, str]:
    """Why a member that is in the group joins again, offering ``protocols``, and what else is known."""
    said = client_text(text)
    if group.uses_consumer_protocol and protocols != member.protocols:
        before, after = _topics(member.protocols), _topics(protocols)
        if before is not None and after is not None and before != after:
            change = " ".join(
                [f"+{t}" for t in sorted(after - before)] + [f"-{t}" for t in sorted(before - after)]
            )
            return RebalanceReason.SUBSCRIPTION_CHANGED, said or change
        if not said and _owned(member.protocols) != _owned(protocols):
            said = "it holds other partitions now: the next round of a cooperative rebalance"
    if group.leader != member.member_id:
        return RebalanceReason.MEMBER_REJOINED, said
    if group.changed_topics:
        return RebalanceReason.PARTITIONS_ADDED, said or ", ".join(sorted(group.changed_topics))
    return RebalanceReason.LEADER_REJOINED, said


def _topics(protocols: Protocols) -> frozenset[str] | None:
    topics = subscribed_topics(protocols[0][1]) if protocols else None
    return None if topics is None else frozenset(topics)


def _owned(protocols: Protocols) -> object:
    return owned_partitions(protocols[0][1]) if protocols else None
