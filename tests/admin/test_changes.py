"""What an ``Admin`` changes, on both brokers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.kafka.ports import free_ports, wait_until

from rota.admin import Admin, AdminError, UnreachableError
from rota.model import ErrorCode, TopicPartition
from rota.monitor.facts import Commit, GroupFacts

if TYPE_CHECKING:
    from tests.clients.desk import Desk


def code(answer: object) -> ErrorCode:
    assert isinstance(answer, AdminError), answer
    return answer.code


def test_offsets_are_set_read_and_deleted(admin: Admin, desk: Desk) -> None:
    topic, group = desk.topic("orders", 3), desk.name("group")
    parts = [TopicPartition(topic, number) for number in range(3)]
    plan = {
        parts[0]: Commit(7, 0, "from a plan"),
        parts[1]: Commit(0),
        parts[2]: Commit(5, metadata="ä" * 200),
    }
    assert admin.alter_offsets(group, plan) == dict.fromkeys(parts)
    assert admin.commits([group]) == {group: plan}
    gone = TopicPartition(topic, 9)
    answer = admin.delete_offsets(group, [parts[1], gone])
    assert answer[parts[1]] is None
    assert code(answer[gone]) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert admin.commits([group])[group] == {tp: plan[tp] for tp in (parts[0], parts[2])}


def test_a_deleted_group_is_gone_and_deleted_twice_is_said(admin: Admin, desk: Desk) -> None:
    topic, group, nobody = desk.topic("orders", 1), desk.name("group"), desk.name("nobody")
    admin.alter_offsets(group, {TopicPartition(topic, 0): Commit(1)})
    answer = admin.delete_groups([group, nobody])
    assert answer[group] is None
    assert code(answer[nobody]) == ErrorCode.GROUP_ID_NOT_FOUND
    assert group not in {each.group for each in admin.list_groups()[0]}
    assert admin.commits([group]) == {group: {}}


def test_nothing_is_changed_under_the_feet_of_members(admin: Admin, desk: Desk) -> None:
    topic, group = desk.topic("orders", 1), desk.name("group")
    desk.produce(topic, 2, 1)
    member = desk.member("confluent", group, topic, commit_each_poll=True)
    tp = TopicPartition(topic, 0)
    desk.wait_stable(group, [member], [tp])
    desk.wait_committed(group, {tp: 2})
    refused = [
        admin.alter_offsets(group, {tp: Commit(0)})[tp],
        admin.delete_groups([group])[group],
        admin.delete_offsets(group, [tp])[tp],
    ]
    assert [code(each) for each in refused] == [
        ErrorCode.NON_EMPTY_GROUP,
        ErrorCode.NON_EMPTY_GROUP,
        ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC,
    ]
    assert all("stop them first" in str(each) for each in refused)
    assert admin.commits([group]) == {group: {tp: Commit(2, 0)}}


def test_a_static_member_is_removed_by_its_instance_id(admin: Admin, desk: Desk) -> None:
    topic, group = desk.topic("orders", 2), desk.name("group")
    parts = [TopicPartition(topic, number) for number in range(2)]
    stays = desk.process_member("confluent", group, topic, instance_id="stays", session_timeout_ms=60_000)
    goes = desk.process_member("confluent", group, topic, instance_id="goes", session_timeout_ms=60_000)
    desk.wait_stable(group, [stays, goes], parts)
    goes.kill()
    answer = admin.remove_members(group, ["goes", "never-was"])
    assert answer["goes"] is None
    assert code(answer["never-was"]) == ErrorCode.UNKNOWN_MEMBER_ID

    def left_alone() -> bool:
        found = admin.describe_groups([group])[group]
        assert isinstance(found, GroupFacts)
        return {each.instance_id: each.assignment for each in found.members} == {"stays": tuple(parts)}

    wait_until("the other one has everything", left_alone)


def test_nobody_there_is_said_in_one_line() -> None:
    address = f"127.0.0.1:{free_ports(1)[0]}"
    refused = f"^no broker at {address}: the connection was refused; .*--bootstrap-server$"
    with Admin(address, timeout_s=5) as nobody, pytest.raises(UnreachableError, match=refused):
        nobody.list_groups()
