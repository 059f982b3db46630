"""``pytest tests/coordinator --rewrite-scenarios`` writes what happens now into the scenarios' files.

Look at the diff, and commit it only if you understand why it changed and want it so.
"""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-scenarios", action="store_true", help="accept what the scenarios do now")
