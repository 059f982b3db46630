"""Subscriptions by regular expression (RE2's language, as Kafka has it since KIP-848): which topics they match.

Apache Kafka looks topics up in the background, and again every ten minutes; here it is done at once, and again when
topics come or go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.coordinator.consumer_groups.records import regex_record
from rota.coordinator.re2 import PatternError, compile_pattern
from rota.model import ErrorCode, GroupError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rota.coordinator.consumer_groups.group import ConsumerGroup
    from rota.coordinator.consumer_groups.member import ConsumerMember
    from rota.coordinator.outcome import TopicView
    from rota.coordinator.step import Step

__all__ = ["check_regex", "resolve_regexes"]


def check_regex(regex: str) -> None:
    """Whether it is one.

    Raises:
        GroupError: INVALID_REGULAR_EXPRESSION
    """
    try:
        compile_pattern(regex)
    except PatternError as error:
        raise GroupError(
            ErrorCode.INVALID_REGULAR_EXPRESSION,
            f"`{regex}` is no pattern that RE2 knows: {error}",
        ) from None


def resolve_regexes(
    group: ConsumerGroup, members: Mapping[str, ConsumerMember], topics: TopicView, step: Step | None
) -> Mapping[str, frozenset[str]]:
    """The topics that the members' expressions match now; with ``step``, what has changed is recorded."""
    used = {member.regex for member in members.values() if member.regex}
    if not used and not group.regexes:
        return {}
    names = list(topics.names())
    matched = {}
    for regex in used:
        pattern = compile_pattern(regex)
        matched[regex] = frozenset(name for name in names if pattern.matches(name))
    if step is not None:
        for regex in sorted({*used, *group.regexes}):
            now = matched.get(regex)
            if now != group.regexes.get(regex):
                step.records.append(regex_record(group.group_id, regex, now, topics.version, step.now_ms))
    return matched
