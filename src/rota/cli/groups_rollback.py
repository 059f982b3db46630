"""The file that takes a change of committed offsets back, written and on the disk before the change is made."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rota.cli.groups_options import rota_command
from rota.cli.output import note
from rota.model import RotaError
from rota.monitor.reset_file import fits_csv, plan_csv, plan_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from rota.model import TopicPartition
    from rota.monitor.reset import Wanted

__all__ = ["rollback_options", "say_undo", "write_rollback"]

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def rollback_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--rollback FILE`` and ``--no-rollback``; the command receives ``rollback`` and ``no_rollback``."""
    where = click.option(
        "--rollback",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Where to write what is committed now, before it is changed; by default a new file here.",
    )
    none = click.option(
        "--no-rollback",
        is_flag=True,
        help="Write no such file: what was committed is lost, and so you are asked.",
    )
    return where(none(command))


def write_rollback(
    before: Mapping[str, Mapping[TopicPartition, Wanted]], at: datetime, path: Path | None
) -> Path | None:
    """Write what is committed before a change, as a plan for ``reset-offsets --from-file``; None if that is nothing.

    Kafka's CSV where that says all of it, else JSON: metadata, and partitions that nothing was committed of.

    Raises:
        RotaError: the file is there already, or cannot be written; then nothing must be changed.
    """
    if not any(before.values()):
        return None
    if fits_csv(before):
        text, suffix = plan_csv(before, with_group=len(before) > 1), "csv"
    else:
        text, suffix = plan_json(before), "json"
    target = path or _new_name(list(before), at, suffix)
    try:
        with target.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise RotaError(
            f"the rollback file {target} could not be written ({error.strerror or error}), so nothing was changed; "
            "--rollback FILE names another place, --no-rollback does without"
        ) from None
    return target


def say_undo(path: Path | None, before: Mapping[str, Mapping[TopicPartition, Wanted]]) -> None:
    """The command that takes it back; nothing where nothing was changed."""
    if path is not None and before:
        # A name may begin as an option does.
        names = [f"--group={name}" if name.startswith("-") else name for name in sorted(before)]
        words = ["groups", "reset-offsets", *names, "--from-file", str(path.absolute()), "--execute"]
        note(f"To take it back: {rota_command(*words)}")


def _new_name(groups: list[str], at: datetime, suffix: str) -> Path:
    """``orders-before-20261121T140212Z.csv``, with a number where that is taken."""
    what = (_UNSAFE.sub("_", groups[0])[:100] or "group") if len(groups) == 1 else f"{len(groups)}-groups"
    stem = f"{what}-before-{at:%Y%m%dT%H%M%SZ}"
    number, path = 1, Path(f"{stem}.{suffix}")
    while path.exists():
        number += 1
        path = Path(f"{stem}-{number}.{suffix}")
    return path
