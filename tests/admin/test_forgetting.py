"""An `Admin` that looks for days does not remember every group and topic that there ever was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rota.admin import Admin
from rota.admin.scan import scan

if TYPE_CHECKING:
    from tests.clients.desk import Desk


def test_who_coordinates_a_deleted_group_and_what_its_topic_was_are_forgotten(desk: Desk) -> None:
    topic, group = desk.topic("forgotten", partitions=1), desk.name("forgotten-group")
    parts = desk.produce(topic, 3, 1)
    member = desk.member("confluent", group, topic, "worker-1")
    desk.wait_stable(group, [member], parts)
    with Admin(desk.bootstrap_servers) as admin:
        assert group in scan(admin).groups
        talk = admin._talk
        assert talk is not None
        assert group in {name for _, name in talk.brokers._coordinators}
        assert topic in talk.topics._seen
        member.stop()
        assert admin.delete_groups([group]) == {group: None}
        assert group not in scan(admin).groups
        assert group not in {name for _, name in talk.brokers._coordinators}
        assert topic not in talk.topics._seen
