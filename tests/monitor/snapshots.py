"""Looks at clusters, from a few lines of text.

    look('''
    group orders classic Stable cooperative-sticky
      pod-1 @10.0.0.1: orders-0 orders-1
      pod-2 static=b subscribes=orders,mails: orders-2
      orders-0  45000/50000
      orders-1  48000/50000  start=100  stable=49990
      orders-2  -/50000
    topic mails 4 compact id=Zm9v
    ''', at_ms=1_000)

A line of a partition says ``committed/end``; ``-`` is no commit (the partition is there all the same), ``?`` an end
that nobody could say. ``start`` is 0 and ``stable`` the end unless they are told; ``leaderless`` takes the leader away.
A member is ``client-id [@host] [static=instance] [epoch=N/TARGET] [session=ms] [poll=ms] [rack=…] [target=orders-0,…]
[subscribes=orders,…] [protocols=range,…] [upgraded=yes] [id=…]: its partitions``; its member id is its client id with
``-id`` behind it unless told, and it subscribes to the topics of its partitions unless told.
A ``group`` is ``name [type] [state] [assignor]``, and ``epoch=N/TARGET``. A topic is made of what is named of it; the
line ``topic`` tells more: ``name [partitions] [compact] [id=…] [key=value of a config]``. ``fail group reason``:
a group that did not answer. What stands behind ``#`` is for readers.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

from rota.model import RotaError, TopicPartition
from rota.monitor.facts import Commit, GroupFacts, MemberFacts, Node, PartitionFacts, Snapshot, TopicFacts

__all__ = ["COORDINATOR", "START_MS", "look", "looks", "tp"]

START_MS = 1_760_000_000_000
"""When the first look is, unless told."""
COORDINATOR = Node(1, "127.0.0.1", 9092)


def tp(text: str) -> TopicPartition:
    """``orders-0``."""
    topic, _, number = text.rpartition("-")
    return TopicPartition(topic, int(number))


def look(text: str, at_ms: int = START_MS) -> Snapshot:
    """One look."""
    reader = _Reader()
    for line in text.splitlines():
        line = line.partition("#")[0].strip()
        if line:
            reader.read(line)
    return reader.snapshot(at_ms)


def looks(*texts: str, every_ms: int = 10_000, at_ms: int = START_MS) -> list[Snapshot]:
    """Several looks, oldest first. A later text that names no group needs only the partitions that have changed:
    the rest is as it was (each partition in one group only).
    """
    whole, found = texts[0], []
    for number, text in enumerate(texts):
        whole = text if "group " in text or number == 0 else _changed(whole, text)
        found.append(look(whole, at_ms + number * every_ms))
    for earlier, later in pairwise(found):
        assert earlier.at_ms < later.at_ms
    return found


def _changed(whole: str, changes: str) -> str:
    """The same lines, but for those of the partitions that the changes name."""
    new = {line.split()[0]: line for line in map(str.strip, changes.splitlines()) if line}
    lines = [new.pop(line.split()[0], line) if line.strip() else line for line in whole.splitlines()]
    return "\n".join([*lines, *new.values()])


class _Reader:
    def __init__(self) -> None:
        self._groups: dict[str, GroupFacts] = {}
        self._commits: dict[str, dict[TopicPartition, Commit]] = {}
        self._partitions: dict[TopicPartition, PartitionFacts] = {}
        self._topics: dict[str, dict[str, Any]] = {}
        self._failures: dict[str, RotaError] = {}
        self._group = ""

    def snapshot(self, at_ms: int) -> Snapshot:
        for part, facts in self._partitions.items():
            self._topic(part.topic)["partitions"][part.partition] = facts.leader
        topics = {name: TopicFacts(name=name, **told) for name, told in self._topics.items()}
        return Snapshot(at_ms, self._groups, self._commits, self._partitions, topics, self._failures)

    def read(self, line: str) -> None:
        words = line.split()
        if words[0] == "group":
            self._read_group(words[1:])
        elif words[0] == "topic":
            self._read_topic(words[1:])
        elif words[0] == "fail":
            self._failures[words[1]] = RotaError(" ".join(words[2:]))
        elif ":" in line:
            self._read_member(line)
        else:
            self._read_partition(words)

    def _read_group(self, words: list[str]) -> None:
        plain, named = _named(words)
        name, type_, state, assignor, *_ = [*plain, *("Classic", "Stable", "range")[len(plain) - 1 :]]
        epoch, target = _pair(named.get("epoch"))
        self._group = name
        kind = type_.capitalize()
        self._groups[name] = GroupFacts(
            name, kind, state, assignor, coordinator=COORDINATOR, epoch=epoch, target_epoch=target
        )
        self._commits[name] = {}

    def _read_member(self, line: str) -> None:
        head, _, held = line.partition(":")
        plain, named = _named(head.split())
        host = next((word[1:] for word in plain if word.startswith("@")), "127.0.0.1")
        assignment = tuple(sorted(tp(word) for word in held.split()))
        epoch, target = _pair(named.get("epoch"))
        topics = (
            named["subscribes"].split(",") if "subscribes" in named else [each.topic for each in assignment]
        )
        member = MemberFacts(
            member_id=named.get("id", plain[0] + "-id"),
            client_id=plain[0],
            host=host,
            instance_id=named.get("static"),
            rack=named.get("rack"),
            subscription=frozenset(topics),
            assignment=assignment,
            target=tuple(sorted(tp(word) for word in named["target"].split(",") if word))
            if "target" in named
            else None,
            upgraded=named["upgraded"] == "yes" if "upgraded" in named else None,
            protocols=tuple(named["protocols"].split(",")) if "protocols" in named else (),
            epoch=epoch,
            target_epoch=target,
            session_timeout_ms=int(named["session"]) if "session" in named else None,
            rebalance_timeout_ms=int(named["poll"]) if "poll" in named else None,
        )
        group = self._groups[self._group]
        members = sorted((*group.members, member), key=lambda each: -len(each.assignment))
        self._groups[self._group] = replace(group, members=tuple(members))

    def _read_partition(self, words: list[str]) -> None:
        plain, named = _named(words)
        part = tp(plain[0])
        committed, _, end = plain[1].partition("/")
        if committed != "-":
            at_ms = int(named["at"]) if "at" in named else None
            self._commits[self._group][part] = Commit(int(committed), at_ms=at_ms)
        last = None if end == "?" else int(end)
        stable = int(named["stable"]) if "stable" in named else last
        start = None if last is None else int(named.get("start", "0"))
        leader = None if "leaderless" in plain else 1
        self._partitions[part] = PartitionFacts(start, last, stable, leader, 0)

    def _read_topic(self, words: list[str]) -> None:
        plain, named = _named(words)
        topic = self._topic(plain[0])
        for word in plain[1:]:
            if word.isdigit():
                topic["partitions"] = dict.fromkeys(range(int(word)), 1)
            elif word == "compact":
                topic["configs"]["cleanup.policy"] = "compact"
        topic["topic_id"] = named.pop("id", topic["topic_id"])
        topic["configs"].update(named)

    def _topic(self, name: str) -> dict[str, Any]:
        new = {"topic_id": f"id-of-{name}", "partitions": {}, "configs": {}}
        return self._topics.setdefault(name, new)


def _named(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """Plain words, and those that are ``key=value``."""
    named: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if equals:
            named[key] = value
    return [word for word in words if "=" not in word], named


def _pair(text: str | None) -> tuple[int | None, int | None]:
    """``4`` or ``4/5``."""
    if text is None:
        return None, None
    first, _, second = text.partition("/")
    return int(first), int(second or first)
