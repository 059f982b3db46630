"""`rota groups validate-regex` beside Kafka's tool: the same verdicts on subscriptions by regular expression."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from rota.cli import run

if TYPE_CHECKING:
    from tests.java.tools import JavaTools

PATTERNS = (
    "orders-.*",
    "[a-c]+|x{2,3}",
    "(?i)web",
    "[",
    "(",
    "a**",
    "(?!internal-).*",
    r"(a)\1",
    r"\pL+",
    "",
)


def test_the_verdicts_are_those_of_kafkas_tool(
    java_tools: JavaTools, capfd: pytest.CaptureFixture[str]
) -> None:
    for pattern in PATTERNS:
        theirs = java_tools.run("kafka-consumer-groups", "--validate-regex", pattern)
        code = run(["groups", "validate-regex", "--", pattern])
        out, err = capfd.readouterr()
        if code == 0:
            assert out == theirs.out
        else:
            assert (code, out) == (1, "")
            assert "is invalid: " in theirs.out
            assert err.startswith(f"error: the regular expression `{pattern}` is invalid: ")


def test_the_verdict_for_programs(capfd: pytest.CaptureFixture[str]) -> None:
    """A document either way, and the same exit codes."""
    assert run(["groups", "validate-regex", "orders-.*", "--json"]) == 0
    out, err = capfd.readouterr()
    assert (json.loads(out), err) == ({"pattern": "orders-.*", "valid": True, "error": None}, "")
    assert run(["groups", "validate-regex", "(", "--json"]) == 1
    out, err = capfd.readouterr()
    told = json.loads(out)
    assert (told["pattern"], told["valid"]) == ("(", False)
    assert err == f"error: the regular expression `(` is invalid: {told['error']}\n"
