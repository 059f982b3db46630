"""What `rota groups describe` looks at: with lag in time as without it."""

from __future__ import annotations

import pytest
from tests.monitor.snapshots import look

from rota.admin import Admin
from rota.cli.groups_look import Late, Look
from rota.model import RotaError
from rota.monitor.facts import GroupListing, Snapshot
from rota.watching import looking

AWAY = RotaError("broker 2 of here does not answer: groups that it coordinates are missing")
WHOLE = (GroupListing("a", "Classic", "Empty"), GroupListing("b", "Classic", "Empty"))
HALF = WHOLE[:1]


@pytest.mark.parametrize(
    "answers", [[(HALF, AWAY)], [(WHOLE, None), (HALF, AWAY)], [(HALF, AWAY), (WHOLE, None)]]
)
def test_what_is_missing_with_lag_in_time_is_said(
    monkeypatch: pytest.MonkeyPatch, answers: list[tuple[tuple[GroupListing, ...], RotaError | None]]
) -> None:
    """Groups are listed once a look: of two lists only one would tell that it is not whole."""
    left = list(answers)

    def list_groups(*_: object) -> tuple[tuple[GroupListing, ...], RotaError | None]:
        return left.pop(0) if len(left) > 1 else left[0]

    def scan(_: Admin, names: tuple[str, ...], **__: object) -> Snapshot:
        return look("".join(f"group {name} classic Empty\n{name}-0 1/1\n" for name in names))

    monkeypatch.setattr(Admin, "list_groups", list_groups)
    monkeypatch.setattr(looking, "scan", scan)
    with Admin("127.0.0.1:1") as admin:
        seen = Look((), "offsets", verbose=False, late=Late(admin)).at(admin)
    listed, failure = answers[0]
    assert [report.group.group for report in seen.reports] == [each.group for each in listed]
    assert seen.failures == ([failure] if failure is not None else [])
