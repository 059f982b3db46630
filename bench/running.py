"""What `python -m bench`, `bench.consumer` and `bench.monitor` share: options, one thing after another, the file."""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.kafka.jars import KafkaMissingError, jars

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

__all__ = [
    "choose",
    "end",
    "need_kafka",
    "options_of",
    "rounds_of",
    "run_each",
    "show_list",
    "use_bytecode",
    "write",
]


def options_of(
    prog: str, about: str | None, things: str, *, rounds: str, quick: str
) -> argparse.ArgumentParser:
    """A parser of the options that all have; ``things`` are benchmarks or contests, the others are words of help."""
    parser = argparse.ArgumentParser(prog=prog, description=about)
    parser.add_argument("--only", metavar="NAME[,NAME]", help=f"these {things}")
    parser.add_argument("--rounds", type=int, help=rounds)
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--list", action="store_true", help=f"name the {things} and end")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    return parser


def rounds_of(options: argparse.Namespace) -> int:
    """As often as was asked for."""
    return max(1, options.rounds or (1 if options.quick else 3))


def show_list(things: Mapping[str, str]) -> None:
    """Their names, and what they are about."""
    for name, about in things.items():
        print(f"{name:14} {about}")


def choose(only: str | None, names: Collection[str], thing: str) -> list[str]:
    """Those of ``--only``, or all. Ends the program if there is none of that name."""
    chosen = list(names) if only is None else only.split(",")
    unknown = [name for name in chosen if name not in names]
    if unknown:
        sys.exit(f"bench: no {thing} is called {', '.join(unknown)}; there are {', '.join(names)}")
    return chosen


def need_kafka() -> None:
    """Ends the program if Apache Kafka is not here."""
    try:
        jars()
    except KafkaMissingError as missing:
        sys.exit(f"bench: {missing}")


def use_bytecode() -> None:
    """An installed package has its bytecode; so has Rota in all that is started from here, whatever the shell says."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def run_each(things: Mapping[str, tuple[str, Callable[[], None]]], say: Callable[[str], None]) -> list[str]:
    """Run all of these: by name what each is about, and the thing itself. The names of those that failed."""
    failed = []
    for name, (about, run) in things.items():
        say(f"{name}: {about}")
        try:
            run()
        except Exception:
            failed.append(name)
            say(f"{name} FAILED:\n{traceback.format_exc()}")
    return failed


def write(file: Path | None, **content: Any) -> None:
    """Everything there is, for programs; nothing without a file."""
    if file is not None:
        document = {"at": datetime.now(UTC).isoformat(timespec="seconds"), **content}
        file.write_text(json.dumps(document, indent=1) + "\n")
        print(f"\nEvery sample: {file}")


def end(failed: list[str]) -> None:
    """With an error if anything failed."""
    if failed:
        sys.exit(f"bench: {', '.join(failed)} failed, see above")
