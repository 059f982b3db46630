"""Brokers that know only older versions: a real one answers in the versions that an older one would know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rota.admin import Admin, At, scan
from rota.admin.versions import Versions
from rota.model import RotaError, TopicPartition
from rota.monitor.facts import Commit, GroupFacts

if TYPE_CHECKING:
    from tests.brokers import BrokerUnderTest
    from tests.clients.desk import Desk

    from rota.wire.apis import Api

FETCH, LIST_OFFSETS, METADATA, OFFSET_COMMIT, OFFSET_FETCH, FIND_COORDINATOR = 1, 2, 3, 8, 9, 10
LEAVE, DESCRIBE_GROUPS, LIST_GROUPS, DELETE_GROUPS, DESCRIBE_CONFIGS, CONSUMER_GROUP_DESCRIBE = (
    13,
    15,
    16,
    42,
    32,
    69,
)
ANCIENT = {
    FETCH: 4,
    LIST_OFFSETS: 2,
    METADATA: 1,
    OFFSET_COMMIT: 2,
    OFFSET_FETCH: 2,
    FIND_COORDINATOR: 0,
    LEAVE: 0,
    DESCRIBE_GROUPS: 0,
    LIST_GROUPS: 0,
    DELETE_GROUPS: 0,
    DESCRIBE_CONFIGS: 1,
    CONSUMER_GROUP_DESCRIBE: -1,
}
"""What Kafka 0.11 to 1.0 knew."""
OLDER = {
    FETCH: 11,
    LIST_OFFSETS: 5,
    METADATA: 9,
    OFFSET_COMMIT: 8,
    OFFSET_FETCH: 7,
    FIND_COORDINATOR: 3,
    LEAVE: 4,
    DESCRIBE_GROUPS: 5,
    LIST_GROUPS: 4,
    CONSUMER_GROUP_DESCRIBE: -1,
}
"""What Kafka 2.6 to 2.8 knew."""


@pytest.fixture(params=[ANCIENT, OLDER], ids=["0.11", "2.8"])
def older(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    limits: dict[int, int] = request.param
    known = Versions.find

    def find(self: Versions, api: Api, most: int | None = None) -> int | None:
        limit = limits.get(api.key)
        return known(self, api, most if limit is None else limit if most is None else min(most, limit))

    monkeypatch.setattr(Versions, "find", find)
    return limits


def test_everything_is_asked_in_what_an_older_broker_knows(
    broker: BrokerUnderTest, desk: Desk, older: dict[int, int]
) -> None:
    topic, names = desk.topic("orders", 2), [desk.name("group") for _ in range(3)]
    desk.produce(topic, 4, 2)
    parts = [TopicPartition(topic, number) for number in range(2)]
    with Admin(broker.bootstrap_servers, timeout_s=60) as admin:
        for number, group in enumerate(names):
            assert admin.alter_offsets(group, {tp: Commit(number) for tp in parts}) == dict.fromkeys(parts)
        found = admin.commits([*names, "nobody-knows"])
        assert found.pop("nobody-knows") == {}
        for number, group in enumerate(names):
            commits = found[group]
            assert not isinstance(commits, RotaError)
            assert {tp: commit.offset for tp, commit in commits.items()} == dict.fromkeys(parts, number)
        described = admin.describe_groups(names)
        assert {getattr(each, "state", each) for each in described.values()} == {"Empty"}
        look = scan(admin)
        assert set(names) <= look.groups.keys()
        assert {look.partitions[tp].end for tp in parts} == {4}
        assert admin.offsets(parts, At.EARLIEST) == dict.fromkeys(parts, 0)
        newest = admin.offsets(parts, At.MAX_TIMESTAMP)
        assert all(isinstance(each, RotaError) and "too old" in str(each) for each in newest.values())
        record = admin.record_at(parts[0], 2)
        assert record is not None
        assert record.offset == 2
        assert admin.topics([topic])[topic]
        assert admin.delete_groups(names) == dict.fromkeys(names)


def test_a_classic_member_is_described_in_old_versions(
    broker: BrokerUnderTest, desk: Desk, older: dict[int, int]
) -> None:
    topic, group = desk.topic("orders", 2), desk.name("group")
    parts = [TopicPartition(topic, number) for number in range(2)]
    member = desk.member("confluent", group, topic, instance_id="static")
    desk.wait_stable(group, [member], parts)
    with Admin(broker.bootstrap_servers, timeout_s=60) as admin:
        found = admin.describe_groups([group])[group]
        assert isinstance(found, GroupFacts)
        assert found.members[0].assignment == tuple(parts)
        assert found.members[0].subscription == frozenset({topic})
        assert found.members[0].instance_id == (None if older is ANCIENT else "static")
        answer = admin.remove_members(group, ["nobody"])["nobody"]
        assert isinstance(answer, RotaError)
        listed, _ = admin.list_groups(types=["classic"])
        state = "Unknown" if older is ANCIENT else "Stable"
        assert [(each.type, each.state) for each in listed if each.group == group] == [("Classic", state)]
