"""What a terminal sends, as keys."""

from __future__ import annotations

import pytest

from rota.rehearsal.keys import split


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        ("2k", ["2", "k"]),
        ("\x1b[A\x1b[B", ["up", "down"]),
        ("\x1bOA\x1bOB", ["up", "down"]),
        ("\x1b[5~x\x1b[6~", ["page-up", "x", "page-down"]),
        ("\x1b[H\x1b[F\x1b[1~\x1b[4~", ["home", "end", "home", "end"]),
        ("\x1b[C\x1b[D\x1b[1;5A\x1bOP", []),
        ("\x1b", []),
        ("\x1bq", ["q"]),
    ],
)
def test_keys_with_and_without_a_character(sent: str, keys: list[str]) -> None:
    assert split(sent) == keys
