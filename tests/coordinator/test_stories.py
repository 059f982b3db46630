"""Every story in ``scenarios/`` happens as it is told there."""

from pathlib import Path

import pytest
from tests.coordinator.story import run_story

STORIES = sorted((Path(__file__).parent / "scenarios").glob("*.txt"))


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_story(path: Path, request: pytest.FixtureRequest) -> None:
    """What happens is what the file says."""
    run_story(path, rewrite=request.config.getoption("--rewrite-scenarios", default=False))
