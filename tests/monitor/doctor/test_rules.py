"""What all rules have in common, and how their findings compete."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.monitor.doctor.cases import evidence, tp
from tests.monitor.doctor.checks import check_command

import rota.monitor.doctor as doctor
import rota.monitor.doctor.rules as package
from rota.monitor.doctor import Lesson, Need, Rule, Verdict, all_rules, diagnose
from rota.monitor.doctor.compete import compete
from rota.monitor.findings import Certainty, EvidenceLine, Finding, Severity


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.id)
def test_a_rule_lives_in_a_file_of_its_name(rule: Rule) -> None:
    """So that whoever reads a finding finds the rule."""
    assert (Path(package.__path__[0]) / f"{rule.id.lower()}_{rule.name.replace('-', '_')}.py").is_file()


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.id)
def test_a_rule_can_be_explained(rule: Rule) -> None:
    """A lesson of some sentences in each part; the others it mentions exist."""
    for text in (rule.lesson.what, rule.lesson.why, rule.lesson.todo):
        assert 80 < len(text) < 1200, text
        assert text.endswith("."), text
        assert "\n" not in text
        assert "  " not in text
    known = {each.id for each in all_rules()}
    assert {*rule.silences, *rule.causes} <= known - {rule.id}


def test_rules_have_numbers_and_names_of_their_own() -> None:
    """Both are in exports and dashboards."""
    assert (
        len({rule.id for rule in all_rules()}) == len({rule.name for rule in all_rules()}) == len(all_rules())
    )


RULE = Rule("D90", "one", Severity.WARNING, "one", lambda _: [], Lesson("", "", ""))
LOOK = evidence("group orders classic Stable\norders-0 5/5")


def competing(*changes: tuple[Rule, dict[str, object]]) -> list[Finding]:
    """What is left of these findings."""
    made = [
        replace(rule.finding(LOOK, f"{rule.name} is so", EvidenceLine("a", "1", "x")), **changed)  # type: ignore[arg-type]
        for rule, changed in changes
    ]
    return compete(made, {rule.id: rule for rule, _ in changes})


def test_a_stronger_finding_silences_others_about_the_same_partitions() -> None:
    """Stuck is told instead of slow; what is slow elsewhere still is."""
    stuck = replace(RULE, id="D91", silences=("D90",))
    assert [
        finding.rule
        for finding in competing(
            (RULE, {"partitions": (tp("orders-0"),)}),
            (stuck, {"partitions": (tp("orders-0"), tp("orders-1"))}),
        )
    ] == ["D91"]
    both = competing(
        (RULE, {"partitions": (tp("orders-0"), tp("orders-2"))}), (stuck, {"partitions": (tp("orders-0"),)})
    )
    assert {finding.rule for finding in both} == {"D90", "D91"}
    assert [
        finding.rule for finding in competing((RULE, {}), (stuck, {"partitions": (tp("orders-0"),)}))
    ] == ["D91"]


def test_without_partitions_members_decide() -> None:
    """One flaps: what befell another is told all the same."""
    flaps = replace(RULE, id="D91", silences=("D90",))
    found = competing((RULE, {"members": ("a", "b")}), (flaps, {"members": ("a",)}))
    assert {finding.rule for finding in found} == {"D90", "D91"}
    (only,) = competing((RULE, {"members": ("a",)}), (flaps, {"members": ("a", "b")}))
    assert only.rule == "D91"


def test_a_cause_becomes_a_part_of_what_it_explains() -> None:
    """The surest of several causes; words, evidence and commands are told together."""
    storm = replace(RULE, id="D91", name="storm", severity=Severity.CRITICAL)
    flaps = replace(RULE, id="D92", name="flaps", causes=("D91",))
    (found, other) = competing(
        (storm, {"advice": "look"}),
        (flaps, {"certainty": Certainty.GUESS, "words": "another is so"}),
        (
            flaps,
            {
                "certainty": Certainty.LIKELY,
                "words": "Pod-7 returns",
                "commands": ("rota x",),
                "advice": "mend",
            },
        ),
    )
    assert (found.rule, found.cause, found.severity) == ("D91", "D92", Severity.CRITICAL)
    assert found.words == "storm is so. The cause: Pod-7 returns"
    assert (found.certainty, found.commands, found.advice) == (Certainty.LIKELY, ("rota x",), "mend")
    assert len(found.evidence) == 2
    assert other.words == "another is so"


def test_the_worst_comes_first() -> None:
    """By severity, then by certainty, then by number."""
    found = competing(
        (replace(RULE, id="D95", severity=Severity.INFO), {}),
        (replace(RULE, id="D94"), {"certainty": Certainty.GUESS}),
        (replace(RULE, id="D93"), {}),
        (RULE, {}),
        (replace(RULE, id="D96", severity=Severity.CRITICAL), {}),
    )
    assert [finding.rule for finding in found] == ["D96", "D90", "D93", "D94", "D95"]


def test_a_rule_that_lacks_something_is_not_judged() -> None:
    """After one look without settings: the rules that want more say what."""
    diagnosis = diagnose(replace(LOOK, missing={Need.EVENTS: "not allowed to read it"}))
    for rule in all_rules():
        assert (rule.id in diagnosis.judged) == (rule.lacking(LOOK) is None and Need.EVENTS not in rule.needs)
    assert all(
        unjudged.why == "not allowed to read it" for unjudged in diagnosis.unjudged if unjudged.rule == "D10"
    )
    assert diagnosis.healthy


BEHIND = """
    group orders classic Stable range
      a: orders-0
      orders-0 5/900{}
"""


@pytest.mark.parametrize(("looks", "every_s"), [("", 1), (" 5/900 5/900", 1)], ids=["one look", "2 s"])
def test_a_group_that_is_behind_is_not_called_healthy_too_soon(looks: str, every_s: float) -> None:
    """Rules that might say why had nothing to go by: they are not judged, and the verdict waits for them."""
    diagnosis = diagnose(evidence(BEHIND.format(looks), every_s=every_s))
    assert (diagnosis.findings, diagnosis.verdict, diagnosis.healthy) == ((), Verdict.UNKNOWN, False)
    assert {"D03", "D04", "D05", "D07", "D19"} <= set(diagnosis.unexplained)
    assert set(diagnosis.unexplained) <= {each.rule for each in diagnosis.unjudged}
    assert not set(diagnosis.judged) & set(diagnosis.unexplained)


def test_a_longer_look_or_no_lag_settles_it() -> None:
    """Ten seconds with the same shares, or nothing to explain."""
    moves = diagnose(evidence(BEHIND.format(" 400/900 800/900"), every_s=5))
    assert (moves.verdict, moves.unexplained) == (Verdict.HEALTHY, ())
    assert diagnose(evidence(BEHIND.replace("5/900", "900/900").format(""))).verdict is Verdict.HEALTHY


def test_nobody_is_there_and_nothing_comes() -> None:
    """Old lag of a group without members: two looks tell that no records come, one does not."""
    empty = "group orders classic Empty\norders-0 5/900{}"
    assert diagnose(evidence(empty.format(""))).verdict is Verdict.UNKNOWN
    assert diagnose(evidence(empty.format(" 5/900"), every_s=1)).verdict is Verdict.HEALTHY


def test_every_rule_is_in_the_documentation() -> None:
    """The table there is that of the rules."""
    text = Path(__file__).parents[3].joinpath("docs", "doctor.md").read_text(encoding="utf-8")
    for rule in all_rules():
        assert f"| {rule.id} | `{rule.name}` | {rule.severity.value} | {rule.title} |" in text


def test_a_rule_that_fails_is_not_judged_and_costs_the_others_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Who reads the diagnosis is told its name; the log tells it once, however many groups it fails for."""

    def broken(_: object) -> list[Finding]:
        raise KeyError("orders-7")

    finds = replace(RULE, judge=lambda seen: [RULE.finding(seen, "it is so", EvidenceLine("a", "1", "x"))])
    rules = (replace(RULE, id="D91", name="two", judge=broken), finds)
    monkeypatch.setattr(doctor, "all_rules", lambda: rules)
    for _ in range(3):
        diagnosis = diagnose(LOOK)
    assert [finding.rule for finding in diagnosis.findings] == ["D90"]
    assert diagnosis.judged == ("D90",)
    (unjudged,) = diagnosis.unjudged
    assert (unjudged.rule, unjudged.name) == ("D91", "two")
    assert "KeyError('orders-7')" in unjudged.why
    assert [record.getMessage() for record in caplog.records] == ["rule D91 failed for group orders"]


@pytest.mark.parametrize(
    "words",
    [
        ("groups", "rebalances"),
        ("groups", "offsets-log"),
        ("groups", "describe", "--members", "--verbose"),
        ("groups", "reset-offsets", "--topic", "-t:0", "--to-offset", "5", "--dry-run"),
        ("groups", "delete-offsets", "--topic", "-t"),
        ("topics", "describe"),
        ("topics", "add-partitions", "--to", "5"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("name", ["orders", "-orders", "--all"])
def test_names_in_command_lines_are_never_options(words: tuple[str, ...], name: str) -> None:
    here = replace(LOOK, connection=("--bootstrap-server", "b:9092"))
    read = check_command(here.command(*words, names=[name]))
    assert [read[key] for key in ("names", "group", "topic") if read.get(key) in {name, (name,)}]
    if "--topic" in words:
        assert str(read.get("topics") or read.get("topic") or read.get("scopes")).count("-t") == 1
