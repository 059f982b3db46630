"""A virtual environment for each peer, made when it is first wanted: they need different confluent-kafkas.

They lie in ~/.cache/rota-bench (or $ROTA_BENCH_CACHE), one for each set of requirements and each Python.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

__all__ = ["REQUIREMENTS", "python_for"]

REQUIREMENTS: dict[str, tuple[str, ...]] = {
    "quix-streams": ("quixstreams>=3.28",),
    "arroyo": ("sentry-arroyo>=2.48",),
    "faststream": ("faststream[confluent]>=0.7.8",),
    "aiokafka": ("aiokafka>=0.14",),
}
"""What is not here runs in this interpreter's own environment."""


def python_for(peer: str) -> str:
    """The interpreter that has this peer; made if there is none yet. Raises CalledProcessError if pip fails."""
    wanted = REQUIREMENTS.get(peer)
    if wanted is None:
        return sys.executable
    home = _cache() / f"{peer}-{_digest(wanted)}"
    python = home / "bin" / "python"
    if not (home / "complete").exists():
        shutil.rmtree(home, ignore_errors=True)
        print(f"making an environment for {peer} in {home} …", file=sys.stderr, flush=True)
        venv.create(home, with_pip=True)
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *wanted]
        subprocess.run(pip, check=True)
        (home / "complete").touch()
    return str(python)


def _cache() -> Path:
    return Path(os.environ.get("ROTA_BENCH_CACHE") or Path.home() / ".cache" / "rota-bench")


def _digest(wanted: tuple[str, ...]) -> str:
    return hashlib.sha256(" ".join((sys.version, *wanted)).encode()).hexdigest()[:8]
