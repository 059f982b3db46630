"""RE2's regular expressions: what is one, what it matches, and that none takes long."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.coordinator.re2 import PatternError, compile_pattern

NAMES = ("orders", "orders-eu", "a.b_c", "A1", "a-1", "xx")


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("orders.*", {"orders", "orders-eu"}),
        ("(?i)ORDERS", {"orders"}),
        ("ord(?i:ERS)", {"orders"}),
        ("(?i:A)1", {"A1"}),
        ("a|A1|xx", {"A1", "xx"}),
        ("(?P<name>ord)ers", {"orders"}),
        (r"\Qa.b\E_c", {"a.b_c"}),
        (r"\w+", {"orders", "A1", "xx"}),
        (r"\w\W\d", {"a-1"}),
        ("[[:alpha:]]+[[:digit:]]?", {"orders", "A1", "xx"}),
        ("[^[:^alpha:]]+", {"orders", "xx"}),
        (r"\pL+\pN", {"A1"}),
        (r"\PN+", {"orders", "orders-eu", "a.b_c", "xx"}),
        (r"\p{Latin}+", {"orders", "xx"}),
        (r"\p{Greek}+", set()),
        ("^orders$", {"orders"}),
        (r"\Aorders\z", {"orders"}),
        (r"orders\b.*", {"orders", "orders-eu"}),
        (r"orders\B.*", set()),
        ("x{2}", {"xx"}),
        ("x{3,}", set()),
        ("x{1,2}?", {"xx"}),
        (r"\x61[-.]\x{31}", {"a-1"}),
        (r"[a\-x]+", {"xx"}),
        ("", set()),
    ],
)
def test_matches_whole_names(pattern: str, matched: set[str]) -> None:
    compiled = compile_pattern(pattern)
    assert {name for name in NAMES if compiled.matches(name)} == matched


@pytest.mark.parametrize(
    "text",
    [
        *("(", ")", "[", "\\", "*a", "a**", "a++", "a{2,1}", "a{1001}", "[b-a]", "[[:foo:]]"),
        *("(?=a)", "(?<=a)", "(?!a)", "(?>a)", r"\1", r"\y", r"\p{foo}", "(?P<1>a)", "(?P<n>a)(?P<n>b)"),
        *("(?z)a", "(((a{1000}){1000}){10})", "(" * 300 + ")" * 300, r"\xZZ", r"\x{110000}"),
    ],
)
def test_refused(text: str) -> None:
    """References and look-around are not RE2's; nor is what would need too much memory."""
    with pytest.raises(PatternError):
        compile_pattern(text)


def test_no_expression_explodes() -> None:
    """Python's ``re`` would not come back from these."""
    assert not compile_pattern("(((((a*)*)*)*)*b)").matches("a" * 249)
    assert compile_pattern("(a?){200}a{200}").matches("a" * 200)


_atoms = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\w", "(?:ab)", "(a|b)"])
_parts = st.builds(
    lambda atom, times: atom + times, _atoms, st.sampled_from(["", "*", "+", "?", "{2}", "{0,2}", "*?"])
)
_patterns = st.recursive(
    st.lists(_parts, max_size=4).map("".join),
    lambda inner: st.builds(
        lambda one, other, times: f"({one}|{other}){times}", inner, inner, st.sampled_from(["", "*", "?"])
    ),
    max_leaves=4,
)


@given(_patterns, st.text("ab", max_size=6))
def test_as_python_does_where_the_languages_agree(pattern: str, name: str) -> None:
    assert compile_pattern(pattern).matches(name) == bool(re.fullmatch(pattern, name))


@given(st.text("ab()[]{}*+?|\\^$.,:-P<>=!12dwpQE", max_size=30))
def test_any_text_is_a_pattern_or_refused(text: str) -> None:
    with contextlib.suppress(PatternError):
        compile_pattern(text).matches("ab-12")
