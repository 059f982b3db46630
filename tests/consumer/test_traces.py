"""Tracebacks as text: as Python's, but for the carets."""

from __future__ import annotations

import asyncio
import json
import re
import traceback
from collections.abc import Callable

import pytest

import rota.consumer
from rota.consumer.failed.traces import exception_name, exception_text, trace_of


def plain() -> None:
    raise ValueError("plain")


def silent() -> None:
    raise TimeoutError


def with_cause() -> None:
    try:
        plain()
    except ValueError as error:
        raise KeyError("above") from error


def while_handling() -> None:
    try:
        with_cause()
    except KeyError:
        silent()


def hidden() -> None:
    try:
        plain()
    except ValueError:
        raise OSError("alone") from None


def noted() -> None:
    error = ValueError("with notes")
    error.add_note("the first")
    error.add_note("the second")
    raise error


def group() -> None:
    raise ExceptionGroup("several", [ValueError("one"), KeyError("two")])


@pytest.mark.parametrize("fail", [plain, silent, with_cause, while_handling, hidden, noted])
def test_it_is_what_python_shows(fail: Callable[[], None]) -> None:
    try:
        fail()
    except Exception as error:
        ours, theirs = trace_of(error), "".join(traceback.format_exception(error))
    without_carets = re.sub(r"^ +[~^]+\n", "", theirs, flags=re.MULTILINE)
    assert ours.replace("\n\n", "\n") == without_carets.replace("\n\n", "\n")


def test_several_at_once_are_shown_by_python_itself() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        group()
    assert trace_of(caught.value) == "".join(traceback.format_exception(caught.value))


def test_causes_that_go_in_a_circle() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert trace_of(one).count("ValueError") == 2


def test_an_exception_that_was_never_raised() -> None:
    assert trace_of(ValueError("new")) == "ValueError: new\n"


def test_an_exception_that_cannot_tell_its_message() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    assert exception_text(MuteError()) == "<its message cannot be shown: RuntimeError>"
    assert exception_name(MuteError()).endswith("MuteError")
    assert exception_name(ValueError()) == "ValueError"


def test_a_trace_names_the_cause_and_is_bounded_however_deep_it_goes() -> None:
    def fall(depth: int) -> None:
        if depth:
            fall(depth - 1)
        raise KeyError("deep")

    try:
        try:
            fall(500)
        except KeyError as error:
            raise ValueError("above") from error
    except ValueError as error:
        trace = trace_of(error)
    assert "KeyError: 'deep'" in trace
    assert trace.rstrip().endswith("ValueError: above")
    assert len(trace.splitlines()) < 200


def test_notes_that_are_none() -> None:
    for notes in (5, None, ["a word", 7]):
        failure = ValueError("no")
        failure.__notes__ = notes  # type: ignore[assignment]
        assert trace_of(failure).startswith("ValueError: no\n")


@pytest.mark.parametrize(
    ("failure", "name"),
    [
        (asyncio.CancelledError(), "asyncio.CancelledError"),
        (rota.consumer.PayloadError(), "rota.consumer.PayloadError"),
        (json.JSONDecodeError("", "", 0), "json.decoder.JSONDecodeError"),
    ],
)
def test_the_public_name_is_told(failure: Exception, name: str) -> None:
    assert exception_name(failure) == name
