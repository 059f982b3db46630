"""Plans that are carried out on real brokers: what can be taken back whatever went wrong, and for how long it is kept.

The admin client is the real one; where a test says so, an answer of a broker is lost on its way, or a broker refuses.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.kafka.ports import PATIENCE_S

from rota.admin import Admin
from rota.cli.groups_rollback import write_rollback
from rota.model import RotaError, TopicPartition
from rota.monitor.facts import Commit
from rota.monitor.reset_file import read_plan
from rota.web.changes import KEPT_OUTCOMES, KEPT_PLANS, OUTCOME_S, PLAN_S, Changes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.clients.desk import Desk


class LosingAdmin(Admin):
    """The brokers do what they are told, but for ``refused``; with ``loses`` their answers are lost."""

    loses = False
    refused: frozenset[TopicPartition] = frozenset()
    wrong: Exception | None = None

    def alter_offsets(
        self, group: str, offsets: Mapping[TopicPartition, Commit]
    ) -> dict[TopicPartition, RotaError | None]:
        asked = {part: commit for part, commit in offsets.items() if part not in self.refused}
        answers = super().alter_offsets(group, asked)
        if self.wrong is not None:
            raise self.wrong
        if self.loses:
            raise RotaError(f"set offsets of group {group}: no answer within 10 s")
        return answers | {part: RotaError("not authorized") for part in self.refused}


class Clock:
    """Seconds, as a test wants them."""

    def __init__(self) -> None:
        self.now = 5.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def admin(desk: Desk) -> Iterator[LosingAdmin]:
    with LosingAdmin(desk.bootstrap_servers, timeout_s=PATIENCE_S) as asking:
        yield asking


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def changes(admin: LosingAdmin, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Changes:
    monkeypatch.chdir(tmp_path)
    return Changes(admin, allowed=True, rollback=write_rollback, monotonic=clock)


@pytest.fixture
def group(desk: Desk, admin: LosingAdmin) -> str:
    """Empty; 500 committed in one partition, 7 in the other."""
    topic, name = desk.topic("orders", partitions=2), desk.name("group")
    desk.produce(topic, 500, partitions=2)
    first, second = (TopicPartition(topic, number) for number in range(2))
    wanted = {first: Commit(500, None, "by hand"), second: Commit(7)}
    assert admin.alter_offsets(name, wanted) == {first: None, second: None}
    return name


def planned(changes: Changes, group: str) -> str:
    """The number of a plan that goes back to the beginning."""
    request = {"group": group, "scenario": "to-earliest", "value": "", "topic": "", "partitions": ""}
    return str(changes.preview(request)["id"])


def carry_out(changes: Changes, group: str, plan: str) -> dict[str, Any]:
    return changes.execute({"group": group, "typed": group, "plan": plan})


def committed(admin: Admin, group: str) -> dict[int, tuple[int, str]]:
    found = admin.commits([group])[group]
    assert not isinstance(found, RotaError)
    return {part.partition: (commit.offset, commit.metadata) for part, commit in found.items()}


def brought_back(text: str, group: str) -> dict[int, tuple[int, str]]:
    """What a rollback file would commit."""
    wanted = read_plan(text, [group], "rollback.json")[group]
    assert all(each.commit is not None for each in wanted.values())
    return {
        part.partition: (each.commit.offset, each.commit.metadata)
        for part, each in wanted.items()
        if each.commit is not None
    }


BEFORE = {0: (500, "by hand"), 1: (7, "")}


def test_the_rollback_has_also_what_failed(changes: Changes, admin: LosingAdmin, group: str) -> None:
    found = admin.commits([group])[group]
    assert not isinstance(found, RotaError)
    refused = max(found)
    admin.refused = frozenset({refused})
    done = carry_out(changes, group, planned(changes, group))
    assert done["failed"] == [f"{refused}: not authorized"]
    assert done["words"] == (
        f"1 partition of group {group} reset, 1 failed: look whether its offset is as it was."
    )
    assert brought_back(done["rollback"], group) == BEFORE
    assert committed(admin, group) == {0: (0, ""), 1: (7, "")}


def test_an_answer_that_comes_too_late_loses_no_rollback(
    changes: Changes, admin: LosingAdmin, group: str
) -> None:
    """All partitions are told to have failed, and all of them are reset."""
    admin.loses = True
    done = carry_out(changes, group, planned(changes, group))
    assert committed(admin, group) == {0: (0, ""), 1: (0, "")}
    assert len(done["failed"]) == 2
    assert done["words"] == (
        f"0 partitions of group {group} reset, 2 failed: look whether their offsets are as they were."
    )
    assert brought_back(done["rollback"], group) == BEFORE


def test_a_browser_that_lost_the_answer_gets_it_again(changes: Changes, group: str) -> None:
    plan = planned(changes, group)
    done = carry_out(changes, group, plan)
    assert changes.outcome({"group": group, "plan": plan}) == done
    assert changes.outcome({"group": group, "plan": plan}) == done
    with pytest.raises(RotaError, match="old or was carried out already"):
        carry_out(changes, group, plan)


def test_the_rollback_is_kept_whatever_happens_meanwhile(
    changes: Changes, admin: LosingAdmin, group: str
) -> None:
    """Also by a mistake of Rota's own: it is kept before anything is changed."""
    admin.wrong = KeyError("a mistake")
    plan = planned(changes, group)
    with pytest.raises(KeyError):
        carry_out(changes, group, plan)
    kept = changes.outcome({"group": group, "plan": plan})
    assert kept["words"] == f"Group {group} is being reset, or what became of it is not known."
    assert not kept["finished"]
    assert brought_back(kept["rollback"], group) == BEFORE


def test_the_rollback_is_in_a_file_before_anything_is_changed(
    changes: Changes, admin: LosingAdmin, group: str, tmp_path: Path
) -> None:
    """The server may end in the middle of it."""
    admin.wrong = KeyError("a mistake")
    with pytest.raises(KeyError):
        carry_out(changes, group, planned(changes, group))
    (written,) = tmp_path.iterdir()
    assert brought_back(written.read_text(), group) == BEFORE
    admin.wrong = None
    done = carry_out(changes, group, planned(changes, group))
    assert (done["rollback"], done["file"]) == ("", "")  # there is nothing left to be changed


def test_without_a_file_nothing_is_changed(
    changes: Changes, admin: LosingAdmin, group: str, tmp_path: Path
) -> None:
    plan = planned(changes, group)
    tmp_path.rmdir()
    with pytest.raises(RotaError) as refused:
        carry_out(changes, group, plan)
    assert "so nothing was changed: start `rota web` in a directory where it may write" in str(refused.value)
    assert "--" not in str(refused.value).partition(":")[2]
    assert committed(admin, group) == BEFORE
    with pytest.raises(RotaError, match="nothing was done by this plan"):
        changes.outcome({"group": group, "plan": plan})


def test_nothing_is_kept_of_a_plan_that_was_refused(changes: Changes, admin: LosingAdmin, group: str) -> None:
    plan = planned(changes, group)
    found = admin.commits([group])[group]
    assert not isinstance(found, RotaError)
    admin.alter_offsets(group, {max(found): Commit(8)})
    with pytest.raises(RotaError, match="was committed since"):
        carry_out(changes, group, plan)
    with pytest.raises(RotaError, match="nothing was done by this plan"):
        changes.outcome({"group": group, "plan": plan})


@pytest.mark.parametrize("asked", [{"group": "other"}, {"plan": "other"}])
def test_what_became_of_a_plan_is_told_for_its_own_group_and_number(
    changes: Changes, group: str, asked: dict[str, str]
) -> None:
    plan = planned(changes, group)
    carry_out(changes, group, plan)
    with pytest.raises(RotaError, match="nothing was done by this plan"):
        changes.outcome({"group": group, "plan": plan} | asked)


def test_outcomes_are_kept_for_a_while(changes: Changes, clock: Clock, group: str) -> None:
    plan = planned(changes, group)
    done = carry_out(changes, group, plan)
    clock.now += OUTCOME_S
    assert changes.outcome({"group": group, "plan": plan}) == done
    clock.now += 1
    with pytest.raises(RotaError, match="or that is long ago"):
        changes.outcome({"group": group, "plan": plan})


def test_only_so_many_outcomes_are_kept(changes: Changes, group: str) -> None:
    plans = []
    for _ in range(KEPT_OUTCOMES + 1):
        plans.append(planned(changes, group))
        carry_out(changes, group, plans[-1])
    with pytest.raises(RotaError, match="nothing was done"):
        changes.outcome({"group": group, "plan": plans[0]})
    for plan in plans[1:]:
        assert changes.outcome({"group": group, "plan": plan})["finished"]


# How long a plan holds


def test_a_plan_holds_for_a_quarter_of_an_hour(
    changes: Changes, admin: LosingAdmin, clock: Clock, group: str
) -> None:
    old = planned(changes, group)
    clock.now += 1
    young = planned(changes, group)
    clock.now += PLAN_S
    with pytest.raises(RotaError, match=r"this plan is old .*: show the plan again"):
        carry_out(changes, group, old)
    assert committed(admin, group) == BEFORE
    assert carry_out(changes, group, young)["words"] == f"2 partitions of group {group} reset."
    assert committed(admin, group) == {0: (0, ""), 1: (0, "")}


def test_the_oldest_plan_gives_way(changes: Changes, admin: LosingAdmin, group: str) -> None:
    plans = [planned(changes, group) for _ in range(KEPT_PLANS + 1)]
    with pytest.raises(RotaError, match="this plan is old"):
        carry_out(changes, group, plans[0])
    assert committed(admin, group) == BEFORE
    assert json.loads(carry_out(changes, group, plans[1])["rollback"])[0]["group"] == group


def test_a_name_that_was_typed_wrongly_costs_no_plan(changes: Changes, group: str) -> None:
    plan = planned(changes, group)
    with pytest.raises(RotaError, match="was not typed as it is"):
        changes.execute({"group": group, "typed": group + "s", "plan": plan})
    assert carry_out(changes, group, plan)["failed"] == []
