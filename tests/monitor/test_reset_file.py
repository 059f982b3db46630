"""Plans in files: Kafka's two forms of CSV, and JSON for what they cannot say."""

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
        ("TOPIC,PARTITION,OFFSET\n", ["x"], "f, line 1: 'PARTITION' is no partition or offset"),
        ("a,0,-1\n", ["x"], "'-1' is no partition or offset"),
        ("x,a,0,5\n", ["x", "y"], "f holds no plan for group y"),
        ("", ["x"], "f holds no plan: it is empty"),
        (f'"{"a" * 200_000}",0,5', ["x"], "f, line 1: field larger than field limit"),
        ("[1]", ["x"], "f is no plan: TypeError"),
        ("{", ["x"], "f, line 1: expected topic,partition,offset"),
        ('[{"group": "x"}]', ["x"], "f is no plan: KeyError: 'offsets'"),
    ],
)
def test_what_is_no_plan_says_where(text: str, groups: list[str], words: str) -> None:
    with pytest.raises(RotaError, match=words):
        read_plan(text, groups, "f")


@pytest.mark.parametrize("group", ["{", "[x]", '{"group": "x"}'])
def test_a_group_may_be_named_like_a_document(group: str) -> None:
    plan = {group: ONE["billing"]}
    assert read_plan(plan_csv(plan, with_group=True), [group], "f") == plan


def test_json_keeps_what_csv_cannot_say() -> None:
    whole = {"billing": {A0: Wanted(Commit(5, 3, "half done")), A1: Wanted(None)}, "audit": {}}
    assert not fits_csv(whole)
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
    assert read_plan(plan_json(plans), [], "f") == plans
