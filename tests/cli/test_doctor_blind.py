"""`rota doctor` where not everything could be seen: nothing is called healthy then, and the exit code is 1, or 3."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.brokers import new_broker
from tests.cli.command import Command
from tests.monitor.snapshots import START_MS, look, tp

from rota.admin import Admin
from rota.cli.doctor import _once
from rota.model import RotaError
from rota.monitor.facts import Commit, Snapshot
from rota.watching import looking
from rota.watching.evidence import Checkup
from rota.watching.offsets_topic import OffsetsTopic

if TYPE_CHECKING:
    from tests.brokers import BrokerUnderTest

    from rota.watching.looking import Seen

TIMEOUT_S = 1.0


@pytest.fixture
def own_broker() -> Iterator[BrokerUnderTest]:
    """Rota's, with a group that is well: it is going to be killed."""
    with new_broker("rota") as running:
        assert Command(running.bootstrap_servers)("topics", "create", "t").code == 0
        with Admin(running.bootstrap_servers) as admin:
            assert admin.alter_offsets("g", {tp("t-0"): Commit(0)}) == {tp("t-0"): None}
        yield running


class Interrupted(Checkup):
    """Something happens before its second look."""

    def __init__(self, admin: Admin, topic: OffsetsTopic, what: Callable[[], None]) -> None:
        super().__init__(admin, topic=topic)
        self._number, self._what = 0, what

    def look(self) -> Seen:
        self._number += 1
        if self._number == 2:
            self._what()
        return super().look()


@pytest.mark.parametrize("as_json", [False, True])
def test_a_broker_that_is_killed_between_two_looks(
    own_broker: BrokerUnderTest, capfd: pytest.CaptureFixture[str], *, as_json: bool
) -> None:
    """What was seen before is shown, and is no verdict."""
    with (
        Admin(own_broker.bootstrap_servers, timeout_s=TIMEOUT_S) as admin,
        OffsetsTopic(admin) as topic,
        pytest.raises(RotaError, match="no broker at") as failed,
    ):
        _once(Interrupted(admin, topic, own_broker.kill), topic, (), 1.0, as_json=as_json)
    assert failed.value.exit_code == 1
    out = capfd.readouterr().out
    if as_json:
        told = json.loads(out)
        assert (told["healthy"], told["verdict"]) == (False, "unknown")
        assert told["failure"] == str(failed.value)
        (group,) = told["groups"]
        assert (group["group"], group["healthy"], group["verdict"]) == ("g", False, "unknown")
        assert group["failure"] == "the last look failed"
    else:
        assert "g: not known: the last look failed. Empty, 0 members, 1 partition" in out
        assert "healthy" not in out


def test_a_broker_that_is_killed_while_it_is_watched(own_broker: BrokerUnderTest) -> None:
    """Every later line says so; until it is back."""
    cli = Command(own_broker.bootstrap_servers)
    with cli.start("doctor", "--all", "--watch", "0.5", "--json", "--timeout", "1000") as running:
        told = json.loads(running.next_out())
        assert (told["healthy"], told["failure"]) == (True, None)
        own_broker.kill()
        while told["failure"] is None:
            told = json.loads(running.next_out())
        assert (told["healthy"], told["verdict"]) == (False, "unknown")
        assert "no broker at" in told["failure"]
        assert [each["verdict"] for each in told["groups"]] == ["unknown"]
        own_broker.start()
        while told["failure"] is not None:
            told = json.loads(running.next_out())
        assert [each["verdict"] for each in told["groups"]] == ["healthy"]
        assert running.stop().code == 130


# What a look may find, without a cluster. (An incomplete list on real brokers: tests/cluster/test_doctor.py.)


AWAY = RotaError("broker 2 of here does not answer: groups that it coordinates are missing")
WELL = "group a\na-0 3/3\n"
ILL = "group a\n  one: a-0\n  two:\na-0 3/3\n"


class Script:
    """The looks that there are to be, the last one again and again."""

    def __init__(self, *looks: Snapshot | RotaError) -> None:
        self._left = list(looks)
        self._number = 0

    def scan(self, *_: object, **__: object) -> Snapshot:
        self._number += 1
        now = self._left.pop(0) if len(self._left) > 1 else self._left[0]
        if isinstance(now, RotaError):
            raise now
        return replace(now, at_ms=START_MS + 100 * self._number)


Told = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def examine(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Told:
    """The exit code, the document, and what is said on standard error."""
    monkeypatch.setattr("rota.watching.around.Around.prepare", lambda *_: None)
    monkeypatch.setattr(looking.Looking, "_learn", lambda *_: None)

    def told(*looks: Snapshot | RotaError, names: tuple[str, ...] = ()) -> tuple[int, dict[str, Any], str]:
        monkeypatch.setattr(looking, "scan", Script(*looks).scan)
        with Admin("127.0.0.1:1") as admin, OffsetsTopic(admin) as topic:
            topic.failure = topic.failure or RotaError("nobody may read it")
            try:
                code, last = _once(Checkup(admin, topic=topic), topic, names, 0.0, as_json=True), ""
            except RotaError as error:
                code, last = error.exit_code, f"error: {error}\n"
        out, err = capfd.readouterr()
        return code, json.loads(out), err + last

    return told


def part(text: str) -> Snapshot:
    """A look at which the list of groups was not whole."""
    return replace(look(text), failures={"": AWAY})


def test_where_everything_was_seen_a_group_is_healthy(examine: Told) -> None:
    code, told, err = examine(look(WELL))
    assert (code, told["verdict"], told["failure"], err) == (0, "healthy", None, "")


def test_an_incomplete_list_of_groups(examine: Told) -> None:
    """The groups that are known are judged; nobody knows of the others."""
    code, told, err = examine(part(WELL))
    assert (code, told["healthy"], told["verdict"]) == (1, False, "unknown")
    assert (told["failure"], err) == (str(AWAY), f"error: {AWAY}\n")
    assert [each["verdict"] for each in told["groups"]] == ["healthy"]


def test_an_incomplete_list_without_any_group(examine: Told) -> None:
    code, told, err = examine(part(""))
    assert (code, told["healthy"], told["verdict"], told["groups"]) == (1, False, "unknown", [])
    assert (told["failure"], err) == (str(AWAY), f"error: {AWAY}\n")


def test_what_is_wrong_counts_more_and_the_failure_is_said_all_the_same(examine: Told) -> None:
    code, told, err = examine(part(ILL))
    assert (code, told["verdict"], told["failure"]) == (3, "ill", str(AWAY))
    assert err == f"error: {AWAY}\n"


def test_partitions_whose_ends_nobody_could_say(examine: Told) -> None:
    """Their lag is not 0: it is not known. Of one without a leader another rule tells."""
    code, told, _ = examine(look("group a\na-0 3/?\na-1 3/3\n"))
    assert (code, told["verdict"], told["failure"]) == (1, "unknown", None)
    (group,) = told["groups"]
    assert group["failure"] == "nobody could say where a-0 ends"


def test_a_group_that_an_incomplete_list_lacks_is_not_left_out(
    monkeypatch: pytest.MonkeyPatch, examine: Told
) -> None:
    """It was there before: nothing is known of it now."""
    both = WELL + "group b\nb-0 3/3\n"
    monkeypatch.setattr("rota.watching.around.Around.prepare", lambda *_: None)
    monkeypatch.setattr(looking.Looking, "_learn", lambda *_: None)
    monkeypatch.setattr(looking, "scan", Script(look(both), part(WELL)).scan)
    with Admin("127.0.0.1:1") as admin:
        checkup = Checkup(admin, topic="nobody may read it")
        assert (checkup.look().failure, checkup.failure) == (None, None)
        assert (checkup.look().failure, checkup.failure) == (AWAY, AWAY)
        found = checkup.evidence()
    assert {name: evidence.failure for name, evidence in found.items()} == {"a": None, "b": str(AWAY)}


def test_a_group_that_cannot_be_described_is_its_own_failure(examine: Told) -> None:
    """Known of the group; of the cluster all was seen."""
    code, told, _ = examine(look(WELL + "fail b the coordinator is away"))
    assert (code, told["verdict"], told["failure"]) == (1, "unknown", None)
    assert {each["group"]: each["failure"] for each in told["groups"]} == {
        "a": None,
        "b": "the coordinator is away",
    }


def test_the_screen_calls_no_part_the_whole() -> None:
    from rota.cli.doctor_text import report
    from rota.monitor.doctor import Evidence, diagnose
    from rota.monitor.looks import views

    evidence = Evidence(views([look(WELL)])["a"], (look(WELL),))
    one = [(evidence, diagnose(evidence))]
    assert report(one, 100)[0].startswith("a: healthy")
    assert report(one, 100, whole=False)[0] == "1 group: nothing found so far, and not everything was seen."
    assert report(one * 2, 100, whole=False)[0].startswith(
        "2 groups: nothing found so far, and not everything"
    )
