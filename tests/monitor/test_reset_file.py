"""Plans in files: Kafka's two forms of CSV, and JSON for what they cannot say."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.model import RotaError, TopicPartition
from rota.monitor.facts import Commit
from rota.monitor.reset import Wanted
from rota.monitor.reset_file import fits_csv, plan_csv, plan_json, read_plan

A0, A1, B0 = TopicPartition("a", 0), TopicPartition("a", 1), TopicPartition("b", 0)
ONE = {"billing": {A1: Wanted(Commit(7)), A0: Wanted(Commit(5))}}
TWO = {**ONE, "audit": {B0: Wanted(Commit(0))}}


def test_one_group_and_several_as_kafka_writes_them() -> None:
    assert plan_csv(ONE, with_group=False) == "a,0,5\na,1,7\n"
    assert plan_csv(TWO, with_group=True) == "audit,b,0,0\nbilling,a,0,5\nbilling,a,1,7\n"


def test_what_was_written_is_read() -> None:
    assert read_plan("a,0,5\na,1,7\n", ["billing"], "f") == ONE
    assert read_plan(plan_csv(TWO, with_group=True), [], "f") == TWO
    assert read_plan(plan_csv(TWO, with_group=True), ["billing"], "f") == ONE


def test_quotes_blank_lines_and_foreign_line_ends() -> None:
    text = '\ufeff"a group, with a ""name""",a,0,5\r\n\r\n"a group, with a ""name""",a,1,7\r\n'
    assert read_plan(text, [], "f") == {'a group, with a "name"': ONE["billing"]}


@pytest.mark.parametrize(
    ("text", "groups", "words"),
    [
        ("a,0,5\n", [], "f, line 1: a plan without groups .* is for one group: name it alone"),
        ("a,0,5\n", ["x", "y"], "is for one group: name it alone"),
        ("a,0,5\na,0,6\n", ["x"], "f, line 2: a-0 of group x is there twice"),
        ("a,0\n", ["x"], "f, line 1: expected topic,partition,offset or group,topic,partition,offset"),
        ("x,a,0,5,more\n", ["x"], "f, line 1: expected"),
        ("TOPIC,PARTITION,OFFSET\n", ["x"], "f, line 1: partition 'PARTITION' is no number from 0 on"),
        ("a,0,-1\n", ["x"], "f, line 1: offset '-1' is no number from 0 on"),
        ("x,a,0,5\n", ["x", "y"], "f holds no plan for group y"),
        ("", ["x"], "f holds no plan: it is empty"),
        (f'"{"a" * 200_000}",0,5', ["x"], "f, line 1: field larger than field limit"),
        (
            "a,0,9223372036854775808\n",
            ["x"],
            "f, line 1: offset 9223372036854775808 is too great: at most 922",
        ),
        ("a,2147483648,5\n", ["x"], "f, line 1: partition 2147483648 is too great: at most 2147483647"),
        ("we\ud800b,0,5\n", ["x"], r"f, line 1: 'we\\ud800b' cannot be a topic's name"),
        ("x\ud800,a,0,5\n", [], r"f, line 1: 'x\\ud800' cannot be a group's name"),
        (",a,0,5\n", [], "f, line 1: '' cannot be a group's name"),
        (f"a,0,{'9' * 5_000}\n", ["x"], "f, line 1: offset 9+… is too great"),
        ("[1]", ["x"], 'f, plan 1: expected {"group": …, "offsets": …}, not 1'),
        ("{", ["x"], "f, line 1: expected topic,partition,offset"),
        ('[{"group": "x"}]', ["x"], 'f, plan 1: there is no "offsets"'),
        ('[{"group": 5, "offsets": []}]', [], "f, plan 1: 5 cannot be a group's name"),
        ('[{"group": ["x"], "offsets": []}]', [], "f, plan 1: \\['x'\\] cannot be a group's name"),
        ('[{"group": "x", "offsets": {}}]', [], 'f, plan 1: "offsets" must be a list'),
        ('[{"group": "x", "offsets": ["a"]}]', [], "f, plan 1, offset 1: expected .*, not 'a'"),
        ("[" * 100_000, ["x"], "f is no plan: it is nested too deeply"),
    ],
)
def test_what_is_no_plan_says_where(text: str, groups: list[str], words: str) -> None:
    with pytest.raises(RotaError, match=words):
        read_plan(text, groups, "f")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ('"topic": "we\\ud800b"', r"'we\\ud800b' cannot be a topic's name"),
        ('"topic": 5', "5 cannot be a topic's name"),
        ('"topic": ""', "'' cannot be a topic's name"),
        ('"partition": true', "partition True is no number from 0 on"),
        ('"partition": 1.0', "partition 1.0 is no number from 0 on"),
        ('"partition": 2147483648', "partition 2147483648 is too great: at most 2147483647"),
        ('"offset": -1', "offset -1 is no number from 0 on"),
        ('"offset": [5]', r"offset \[5\] is no number from 0 on"),
        ('"offset": 9223372036854775808', "offset 9223372036854775808 is too great"),
        ('"leaderEpoch": 9999999999', "leaderEpoch 9999999999 is too great: at most 2147483647"),
        ('"leaderEpoch": "x"', "leaderEpoch 'x' is no number from 0 on"),
        ('"metadata": 5', "metadata must be text, not 5"),
        ('"metadata": "\\ud800"', r"metadata '\\ud800' cannot be written as UTF-8"),
        (f'"metadata": "{"x" * 40_000}"', "metadata has 40,000 bytes: at most 32,767 can be sent"),
    ],
)
def test_each_value_of_json_is_checked_and_the_place_is_named(values: str, words: str) -> None:
    """Whatever could not be sent is said before anybody is asked."""
    whole = '"topic": "a", "partition": 0, "offset": 5, "leaderEpoch": null, "metadata": ""'
    good = f"{{{whole}}}"
    other = whole.replace('"partition": 0', '"partition": 1')
    bad = f"{{{other}, {values}}}"  # what comes later counts
    with pytest.raises(RotaError, match=f"^f, plan 1, offset 2: {words}"):
        read_plan(f'{{"group": "x", "offsets": [{good}, {bad}]}}', [], "f")


@pytest.mark.parametrize("lacking", ["topic", "partition", "offset"])
def test_what_every_offset_of_json_must_have(lacking: str) -> None:
    entry = {"topic": "a", "partition": 0, "offset": 5}
    del entry[lacking]
    with pytest.raises(RotaError, match=f'f, plan 1, offset 1: there is no "{lacking}"'):
        read_plan(json.dumps({"group": "x", "offsets": [entry]}), [], "f")


def test_json_that_names_offsets_alone_says_no_more_than_csv() -> None:
    """Only what has metadata and epoch is exact."""
    entry = {"topic": "a", "partition": 0, "offset": 5}
    bare = read_plan(json.dumps({"group": "x", "offsets": [entry]}), [], "f")
    assert bare == {"x": {A0: Wanted(Commit(5))}}
    whole = read_plan(
        json.dumps({"group": "x", "offsets": [{**entry, "leaderEpoch": 1, "metadata": ""}]}), [], "f"
    )
    assert whole == {"x": {A0: Wanted(Commit(5, 1), exact=True)}}


@pytest.mark.parametrize("group", ["{", "[x]", '{"group": "x"}'])
def test_a_group_may_be_named_like_a_document(group: str) -> None:
    plan = {group: ONE["billing"]}
    assert read_plan(plan_csv(plan, with_group=True), [group], "f") == plan


def test_json_keeps_what_csv_cannot_say() -> None:
    whole = {"billing": {A0: Wanted(Commit(5, 3, "half done"), exact=True), A1: Wanted(None)}, "audit": {}}
    assert not fits_csv(whole)
    assert not fits_csv({"billing": {A0: Wanted(Commit(5), exact=True)}})  # no metadata, whatever there is
    assert fits_csv(TWO)
    assert read_plan(plan_json(whole), [], "f") == whole


names = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\x00"), min_size=1, max_size=12
)
topics = st.text("abcXYZ019._-", min_size=1, max_size=12)
offsets = st.dictionaries(
    st.builds(TopicPartition, topics, st.integers(0, 10_000)),
    st.integers(0, 2**63 - 1).map(lambda offset: Wanted(Commit(offset))),
    min_size=1,
    max_size=5,
)


@given(st.dictionaries(names, offsets, min_size=1, max_size=4))
def test_any_groups_and_offsets_come_back(plans: dict[str, dict[TopicPartition, Wanted]]) -> None:
    assert read_plan(plan_csv(plans, with_group=True), [], "f") == plans
    exact = {
        group: {tp: each._replace(exact=True) for tp, each in found.items()} for group, found in plans.items()
    }
    assert read_plan(plan_json(plans), [], "f") == exact
