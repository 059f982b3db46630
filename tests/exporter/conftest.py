"""Tests here need Prometheus; without it they are skipped (failed where CI=true)."""

from __future__ import annotations

import shutil

import pytest
from tests.conftest import skip_or_fail
from tests.prometheus import PrometheusMissingError


@pytest.fixture(scope="session")
def prometheus_installed() -> None:
    """Prometheus and its checker are on this machine."""
    for program in ("prometheus", "promtool"):
        if shutil.which(program) is None:
            skip_or_fail(PrometheusMissingError(f"no `{program}` found: install Debian's package prometheus"))
