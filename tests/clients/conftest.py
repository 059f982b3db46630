"""Looks for Go where a test is parametrised with franz-go."""

import pytest


@pytest.fixture(autouse=True)
def _go_where_needed(request: pytest.FixtureRequest) -> None:
    callspec = getattr(request.node, "callspec", None)
    if callspec is not None and any(
        value in ("franz-go", ("franz-go",)) for value in callspec.params.values()
    ):
        request.getfixturevalue("franz_go")
