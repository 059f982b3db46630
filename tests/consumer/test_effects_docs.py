"""docs/effects.md shows the tables as they are, and names that exist."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rota.consumer import sql
from rota.consumer.context import Context
from rota.consumer.ledger import Claim, Ledger

_DOCS = Path(__file__).parents[2].joinpath("docs/effects.md").read_text(encoding="utf-8")


def _plain(statement: str) -> str:
    return re.sub(r"\s*([(),])\s*", r"\1", " ".join(statement.replace("IF NOT EXISTS ", "").split()))


def test_the_tables_are_shown_as_they_are() -> None:
    shown = {
        _plain(part)
        for block in re.findall(r"```sql\n(.*?)```", _DOCS, re.DOTALL)
        for part in block.split(";")
    }
    made = {_plain(statement) for statement in [*sql.schema("postgresql"), Ledger.schema("postgresql")]}
    assert made == shown - {""}


@pytest.mark.parametrize(("holder", "name"), [(Context, "context"), (Ledger, "ledger"), (Claim, "claim")])
def test_what_it_names_exists(holder: type, name: str) -> None:
    used = set(re.findall(rf"\b{name}\.(\w+)", _DOCS))
    known = {member for member, _ in inspect.getmembers(holder)}
    known |= set(re.findall(r"self\.(\w+)", inspect.getsource(vars(holder)["__init__"])))
    assert used
    assert used <= known


def test_drivers_are_imported_where_they_are_used() -> None:
    program = "import sys, rota.consumer; print({'psycopg', 'sqlite3'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
