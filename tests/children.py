"""Servers that a test run starts end with it, also when it is killed."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

__all__ = ["ending_with_parent"]


def ending_with_parent(command: Sequence[str]) -> list[str]:
    """The command, to be killed when whoever starts it is gone; unchanged where util-linux is missing."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--", *command] if setpriv else list(command)
