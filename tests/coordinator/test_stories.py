"""Every story in ``scenarios/`` happens as it is told there."""

from pathlib import Path

import pytest
from tests.coordinator.consumer_story import ConsumerStory
from tests.coordinator.story import Story, run_story

SCENARIOS = Path(__file__).parent / "scenarios"
STORIES = sorted(SCENARIOS.glob("*.txt"))
CONSUMER_STORIES = sorted((SCENARIOS / "consumer_groups").glob("*.txt"))


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_story(path: Path, request: pytest.FixtureRequest) -> None:
    """What happens is what the file says."""
    run_story(Story(), path, rewrite=request.config.getoption("--rewrite-scenarios", default=False))


@pytest.mark.parametrize("path", CONSUMER_STORIES, ids=lambda path: path.stem)
def test_story_of_a_consumer_group(path: Path, request: pytest.FixtureRequest) -> None:
    """The same for groups of KIP-848."""
    run_story(ConsumerStory(), path, rewrite=request.config.getoption("--rewrite-scenarios", default=False))
