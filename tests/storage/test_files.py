"""What is brought to the disk, and how."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.storage.batches import SMALL, batch

from rota.storage import Log


def test_a_system_without_fdatasync_syncs_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.delattr(os, "fdatasync", raising=False)
    monkeypatch.setattr(os, "fsync", synced.append)
    log = Log.open(tmp_path, SMALL, now_ms=1_000, is_new=True)
    log.append(batch(b"v"), 1_000)
    log.segments[0].store.flush()
    assert len(synced) == 1
    log.segments[0].store.truncate(0)
    assert len(synced) == 2
