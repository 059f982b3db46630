"""Looks for Go where a test is parametrised with franz-go."""

import pytest
from tests.clients.kinds import FRANZ_GO, FRANZ_GO_848


@pytest.fixture(autouse=True)
def _go_where_needed(request: pytest.FixtureRequest) -> None:
    callspec = getattr(request.node, "callspec", None)
    if callspec is not None and any(
        value in (FRANZ_GO, (FRANZ_GO,), FRANZ_GO_848) for value in callspec.params.values()
    ):
        request.getfixturevalue("franz_go")
