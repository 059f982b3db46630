"""A pytest plugin: the brokers of the tests are `tests.fuzz.recording_broker`s."""

from __future__ import annotations

import pytest
from tests.rota_process import RotaBroker


def pytest_configure(config: pytest.Config) -> None:
    RotaBroker.program = "tests.fuzz.recording_broker"
