"""What the tests fetch or build once per user: directories under the user's cache directory.

A directory appears in one rename and is made by one process at a time; its name says, by a digest, of what it
was made.
"""

import fcntl
import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """The cached directory of that name; where it is missing, `make` fills a new one that becomes it."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rota-tests"
    target = root / name
    if target.is_dir():
        return target
    root.mkdir(parents=True, exist_ok=True)
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            with tempfile.TemporaryDirectory(dir=root, prefix=f"{name}.part-") as scratch:
                part = Path(scratch) / name
                part.mkdir()
                make(part)
                part.rename(target)
    return target
