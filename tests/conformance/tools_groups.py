"""Scenarios with kafka-consumer-groups and kafka-groups, for `test_tools`."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.clients.member import Member
from tests.conformance.shell import Shell

__all__ = ["SCENARIOS"]

_GROUP = "kafka-consumer-groups --group {name} "
_AT = "2023-11-14T22:13:20.005Z"  # the sixth of the records below, in milliseconds from START
_START = 1_700_000_000_000


def groups_are_listed(sh: Shell) -> None:
    members = [_member(sh, "one"), _member(sh, "two", client="confluent-848", group=f"{sh.name}-new")]
    for member in members:
        member.wait_owns(3)
    _offsets_only(sh)
    for view in ("", "--state", "--type", "--state --type", "--state stable", "--state Empty,Dead"):
        sh(f"kafka-consumer-groups --list {view}", only=sh.name)
    for kind in ("classic", "consumer", "Consumer,Classic"):
        sh(f"kafka-consumer-groups --list --type {kind}", only=sh.name)
        sh(f"kafka-consumer-groups --list --type {kind} --state", only=sh.name)
    sh("kafka-consumer-groups --list --state nonsense", code=1)
    sh("kafka-consumer-groups --list --type nonsense", code=1)
    for view in (
        "",
        "--consumer",
        "--group-type classic",
        "--group-type consumer",
        "--protocol consumer",
        "--share",
    ):
        sh(f"kafka-groups --list {view}", only=sh.name)
    for member in members:
        member.stop()
    sh("kafka-consumer-groups --list --state", only=sh.name)
    sh("kafka-consumer-groups --list --state --type", only=sh.name)


def classic_groups_are_described(sh: Shell) -> None:
    members = [_member(sh, "one")]
    sh.desk.wait_stable(sh.name, members, [(sh.name, 0), (sh.name, 1), (sh.name, 2)])
    sh.desk.wait_committed(sh.name, {(sh.name, 0): 4, (sh.name, 1): 4, (sh.name, 2): 4})
    _describe(sh)
    members.append(_member(sh, "two", instance_id="i-2"))
    sh.desk.wait_stable(sh.name, members, [(sh.name, 0), (sh.name, 1), (sh.name, 2)])
    _describe(sh)
    members[1].stop()
    members[0].stop()
    sh("kafka-consumer-groups --delete-offsets --group {name} --topic {name}:1", code=0)


def consumer_groups_are_described(sh: Shell) -> None:
    members = [_member(sh, "one", client="confluent-848")]
    everything = [(sh.name, 0), (sh.name, 1), (sh.name, 2)]
    sh.desk.wait_stable(sh.name, members, everything)
    sh.desk.wait_committed(sh.name, {(sh.name, 0): 4, (sh.name, 1): 4, (sh.name, 2): 4})
    _describe(sh)
    members[0].stop()
    sh(_GROUP + "--describe --state")
    sh(_GROUP + "--describe")


def groups_without_members_are_described(sh: Shell) -> None:
    _offsets_only(sh, sh.name)
    _describe(sh)
    for view in ("", "--members", "--state", "--offsets --verbose"):
        sh(f"kafka-consumer-groups --describe --group {{name}}-nobody {view}")
    sh("kafka-consumer-groups --describe --all-groups", only=sh.name)
    sh("kafka-consumer-groups --describe --all-groups --state", only=sh.name)
    sh("kafka-consumer-groups --describe --all-groups --members", only=sh.name)


def offsets_are_reset(sh: Shell) -> None:
    _offsets_only(sh, sh.name, stamped=True)
    for scenario in (
        *("--to-earliest", "--to-latest", "--to-current", "--to-offset 3", "--to-offset 99", "--to-offset 0"),
        *("--shift-by 1", "--shift-by -1", "--shift-by 99", "--shift-by -99"),
        *(f"--to-datetime {_AT}", "--to-datetime 2100-01-01T00:00:00.000Z", "--by-duration PT1M"),
        *("--by-duration P99999D",),
    ):
        sh(_GROUP + f"--reset-offsets --topic {{name}} {scenario} --dry-run", anyhow=True)
        sh(_GROUP + f"--reset-offsets --topic {{name}} {scenario} --execute", anyhow=True)
    sh(_GROUP + "--reset-offsets --topic {name} --to-current --dry-run --export", anyhow=True)
    sh(_GROUP + "--describe", anyhow=True)
    sh(_GROUP + "--reset-offsets --topic {name}:1 --to-earliest --execute")
    sh(_GROUP + "--reset-offsets --topic {name}:0,2 --to-offset 2 --execute", anyhow=True)
    sh(_GROUP + "--reset-offsets --all-topics --to-earliest --execute", anyhow=True)
    sh(_GROUP + "--reset-offsets --topic {name} --to-latest", anyhow=True)
    sh(_GROUP + "--reset-offsets --topic {name}-nothing --to-latest --dry-run")
    sh(
        "kafka-consumer-groups --group {name}-nobody --reset-offsets --topic {name} --to-latest --execute",
        anyhow=True,
    )
    sh("kafka-consumer-groups --group {name}-nobody --describe", anyhow=True)
    sh(_GROUP + "--reset-offsets --to-latest --dry-run", code=1)
    sh(_GROUP + "--reset-offsets --topic {name} --dry-run", code=1)


def offsets_are_reset_from_a_file(sh: Shell) -> None:
    _offsets_only(sh, sh.name)
    with tempfile.TemporaryDirectory() as directory:
        one, many = Path(directory, "one.csv"), Path(directory, "many.csv")
        with one.open("w", newline="") as file:
            csv.writer(file).writerows([[sh.name, 0, 1], [sh.name, 1, 2]])
        with many.open("w", newline="") as file:
            csv.writer(file).writerows([[sh.name, sh.name, 0, 3], [f"{sh.name}-b", sh.name, 1, 2]])
        for how in ("--dry-run", "--execute"):
            sh(_GROUP + f"--reset-offsets {how} --from-file {one}", anyhow=True, hide=directory)
            sh(
                f"kafka-consumer-groups --group {{name}} --group {{name}}-b --reset-offsets {how} --from-file {many}",
                anyhow=True,
                hide=directory,
            )
        sh(_GROUP + "--describe", anyhow=True)
        sh("kafka-consumer-groups --describe --group {name}-b", anyhow=True)


def live_groups_are_left_alone(sh: Shell) -> None:
    for client in ("confluent", "confluent-848"):
        group = f"{sh.name}-{client}"
        member = _member(sh, "one", client=client, group=group)
        sh.desk.wait_committed(group, {(sh.name, 0): 4, (sh.name, 1): 4, (sh.name, 2): 4})
        sh(f"kafka-consumer-groups --group {group} --reset-offsets --topic {{name}} --to-earliest --execute")
        sh(f"kafka-consumer-groups --group {group} --delete")
        sh(f"kafka-consumer-groups --group {group} --delete-offsets --topic {{name}}", anyhow=True)
        member.stop()
        sh(f"kafka-consumer-groups --group {group} --describe", anyhow=True)
        sh(f"kafka-consumer-groups --group {group} --delete-offsets --topic {{name}}:0,7", anyhow=True)
        sh(f"kafka-consumer-groups --group {group} --delete")
        sh(f"kafka-consumer-groups --group {group} --describe")


def groups_are_deleted(sh: Shell) -> None:
    _offsets_only(sh, sh.name)
    sh("kafka-consumer-groups --delete --group {name}-nobody")
    sh("kafka-consumer-groups --delete-offsets --group {name}-nobody --topic {name}", code=0, anyhow=True)
    sh(_GROUP + "--delete-offsets --topic {name}:1")
    sh(_GROUP + "--delete-offsets --topic {name}-nothing", anyhow=True)
    sh(_GROUP + "--describe", anyhow=True)
    sh("kafka-consumer-groups --delete --group {name} --group {name}-nobody", anyhow=True)
    sh("kafka-consumer-groups --list", only=sh.name)
    sh("kafka-consumer-groups --validate-regex web-.*")
    sh("kafka-consumer-groups --validate-regex [", code=0)


def _describe(sh: Shell) -> None:
    """In every view. A member's id that it made itself is a random one."""
    for view in ("", "--offsets", "--members", "--state"):
        for verbose in ("", "--verbose"):
            sh(_GROUP + f"--describe {view} {verbose}", anyhow=True, hide=r"(?<= )[\w+/-]{22}(?= )")


def _topic(sh: Shell, *, stamped: bool = False) -> None:
    if sh.name not in sh.desk.admin.list_topics(timeout=10).topics:
        sh.quietly("kafka-topics --create --topic {name} --partitions 3")
        sh.desk.wait_topic(sh.name, 3)
        if stamped:
            sh.produce_at(sh.name, [_START + number for number in range(8)])
        else:
            sh.desk.produce(sh.name, per_partition=4, partitions=3)


def _member(
    sh: Shell, client_id: str, *, client: str = "confluent", group: str = "", instance_id: str | None = None
) -> Member:
    _topic(sh)
    group = group or sh.name
    strategy = "uniform" if client.endswith("848") else "range"
    settings = {"strategy": strategy, "instance_id": instance_id, "commit_each_poll": True}
    return sh.desk.member(client, group, sh.name, client_id, **settings)


def _offsets_only(sh: Shell, group: str = "", *, stamped: bool = False) -> None:
    """A group that only has offsets: 1 for every partition but the last."""
    _topic(sh, stamped=stamped)
    group = group or f"{sh.name}-offsets"
    said = sh.quietly(
        f"kafka-consumer-groups --group {group} --reset-offsets --topic {{name}}:0,1 --to-offset 1 --execute"
    )
    assert said.code == 0, said


SCENARIOS: tuple[Callable[[Shell], None], ...] = (
    groups_are_listed,
    classic_groups_are_described,
    consumer_groups_are_described,
    groups_without_members_are_described,
    offsets_are_reset,
    offsets_are_reset_from_a_file,
    live_groups_are_left_alone,
    groups_are_deleted,
)
