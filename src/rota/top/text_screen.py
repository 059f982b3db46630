"""A screenful of text: everything about one thing, or the help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from rota.top.block import Block
from rota.top.groups_page import ORDERS
from rota.top.lines import Lines
from rota.top.screens import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.app import ComposeResult

    from rota.top.source import Done

__all__ = ["UNDO", "UNDO_ANYWAY", "TextScreen", "change_lines", "help_lines"]

HELP: Final = (
    (
        "Everywhere",
        (
            ("↑ ↓ j k", "up, down; PgUp PgDn by a page, g G to the first and the last"),
            ("enter", "open what the cursor is on"),
            ("esc", "back; out of a filter first"),
            ("d", "describe: everything that is known of it"),
            ("/", "filter: words that a row must have, !word that it must not"),
            (
                ":",
                "a command: groups, group NAME, members, partitions, events, doctor, sort lag, changes, quit",
            ),
            ("?", "this help"),
            ("q", "quit; so do Ctrl+C and :q"),
        ),
    ),
    ("All groups", (("shift+letter", ""),)),
    (
        "One group",
        (
            ("m p e f", "members, partitions, events, findings of the doctor; tab goes from one to the next"),
            ("N L T", "sort by name, lag, time lag"),
        ),
    ),
)
CHANGES: Final = (
    "Changes, each after the group's name was typed",
    (
        ("r", "in a group: reset what it has committed, of the partition under the cursor or of all"),
        ("ctrl+d", "delete the group"),
    ),
)
SIGNS: Final = (
    "What it shows",
    (
        ("╱2╱", "an owner: its letter, its texture and its colour; the same wherever it is shown"),
        ("1→2", "the partition went from 1 to 2 within the last ten seconds"),
        ("1.8s", "in red: so long has nobody read this partition"),
        ("––", "nobody holds it"),
        ("↑ ↓ → ✓ ⇈", "lag grows, falls, is stable, is none, is very large: judged over many looks"),
        ("≥ ~ ?", "before a time lag: at least, about, the records' clock is wrong"),
        ("BY", "how the time lag is known: record, search, history; `d` on a partition says more"),
    ),
)

UNDO: Final = "To take it back:"
UNDO_ANYWAY: Final = "To take back what was done of it, if anything:"


def help_lines(changes: bool) -> list[Text]:
    """All signs, and the keys that do something."""
    lines: list[Text] = []
    for title, rows in (*HELP, *([CHANGES] if changes else []), SIGNS):
        lines += [Text(title, "bold")]
        for key, words in rows:
            if not words:
                words = "sort: " + ", ".join(f"{order.key} {order.name}" for order in ORDERS)
                words += "; again: the other way round"
            lines.append(Text.assemble((f"  {key:<13}", "bold cyan"), words))
        lines.append(Text(""))
    if not changes:
        lines.append(
            Text("Read-only. With --allow-changes there are keys to reset and to delete groups.", "dim")
        )
    return lines


def change_lines(made: Sequence[Done]) -> list[Text]:
    """What was changed, the newest first, and the commands that take it back."""
    lines: list[Text] = []
    for done in reversed(made):
        lines.append(Text(done.words, "bold red" if done.failed else "bold"))
        if done.undo:
            lines += [Text(UNDO_ANYWAY if done.failed else UNDO), Text(f"  {done.undo}", "cyan")]
        lines.append(Text(""))
    lines.append(Text("The command :changes shows this again; when rota top ends it is printed.", "dim"))
    return lines


class TextScreen(Page):
    """``make`` gives the lines, anew with every look."""

    KEYS = (("esc", "back"), ("↑ ↓ PgUp PgDn", "scroll"), ("?", "help"), ("q", "quit"))

    def __init__(
        self, title: str, make: Callable[[], list[Text]], *, group: str = "", indent: int = 4
    ) -> None:
        super().__init__()
        self.group = group
        self._indent = indent
        self.heading = title
        self._make = make

    def compose_body(self) -> ComposeResult:
        """Title and text."""
        yield Block(dom_id="head")
        yield Lines(empty="It is gone.", indent=self._indent, dom_id="text")

    def on_mount(self) -> None:
        """The text has the keys."""
        self.focus_main()

    def focus_main(self) -> None:
        """The text has the keys."""
        self.query_one("#text").focus()

    def news(self) -> None:
        """As it is now."""
        self.query_one("#head", Block).show([Text(f" {self.heading} ", "bold reverse"), Text("")])
        self.query_one("#text", Lines).show(self._make())
