"""The lab's temporary folder, and those that killed directors left behind."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import pytest

from rota.rehearsal.folder import Folder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_what_a_killed_director_left_is_removed_by_the_next(scratch: Path) -> None:
    left = scratch / "rota-lab-left"
    (left / "data").mkdir(parents=True)
    (left / "data" / "log").write_text("x")
    folder = Folder()
    assert list(scratch.iterdir()) == [folder.path]
    folder.remove()
    assert list(scratch.iterdir()) == []


def test_the_folder_of_a_lab_that_runs_stays() -> None:
    first, second = Folder(), Folder()
    assert first.path.is_dir()
    assert second.path.is_dir()
    first.remove()
    second.remove()


def test_nothing_else_is_touched(scratch: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (scratch / "rota-lab-link").symlink_to(elsewhere)
    (scratch / "rota-lab-file").write_text("x")
    (scratch / "other").mkdir()
    Folder().remove()
    assert {path.name for path in scratch.iterdir()} == {"rota-lab-link", "rota-lab-file", "other"}
    assert elsewhere.is_dir()
