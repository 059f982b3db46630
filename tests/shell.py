"""What a shell makes of a command line that was printed for copying."""

from __future__ import annotations

import subprocess

__all__ = ["words_in_a_shell"]


def words_in_a_shell(line: str) -> list[str]:
    """The command and its words as bash reads them; nothing is run."""
    tool = line.split(maxsplit=1)[0]
    done = subprocess.run(
        ["bash", "-c", f"{tool}() {{ printf '%s\\0' \"$@\"; }}\n{line}\n"],
        capture_output=True,
        env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
        check=True,
    )
    return [tool, *done.stdout.decode().split("\0")[:-1]]
