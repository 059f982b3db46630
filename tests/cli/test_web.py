"""`rota web` on the command line; the page itself is tested in tests/web."""

from __future__ import annotations

import pytest
from tests.cli.command import Command

NOBODY = Command("127.0.0.1:1")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--token", "short"], "--token: at least 16 ASCII letters"),
        (["--host", "no.such.host.invalid"], "--host no.such.host.invalid: there is no such address"),
        (["--port", "70000"], "70000 is not in the range"),
        (["--interval", "nan"], "'nan' is not a finite number"),
        (["--interval", "0.01"], "is not in the range"),
        (["extra"], "unexpected extra argument"),
    ],
)
def test_wrong_usage_is_one_line(options: list[str], words: str) -> None:
    said = NOBODY("web", *options)
    assert (said.code, said.out) == (2, "")
    assert words in said.err
    assert said.err.count("\n") == 1


def test_without_its_packages_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from rota.cli import web
    from rota.model import RotaError

    monkeypatch.setattr(web, "find_spec", lambda name: None if name == "uvicorn" else object())
    done = CliRunner().invoke(web.web, [])
    assert isinstance(done.exception, RotaError)
    assert str(done.exception) == "`rota web` needs uvicorn: pip install 'rota[web]'"
