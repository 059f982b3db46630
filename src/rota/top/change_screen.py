"""Changing something: where to (of a reset), a preview, and the group's name, typed, before anything is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import Input

from rota.model import RotaError
from rota.top.block import Block
from rota.top.changes import WHERE_TO
from rota.top.lines import Lines
from rota.top.screens import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.app import ComposeResult

    from rota.model import TopicPartition
    from rota.top.source import Changes, Preview

__all__ = ["ChangeScreen"]


class ChangeScreen(Page):
    """``partitions`` None: the group is to be deleted; else reset, of these partitions (none: of all)."""

    DEFAULT_CSS = """
    ChangeScreen #answer { height: 3; border: round ansi_yellow; padding: 0 1; }
    """
    KEYS = (("enter", "go on"), ("PgUp PgDn", "scroll"), ("esc", "change nothing"), ("ctrl+c", "quit"))
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.back", show=False, priority=True),
        Binding("pageup", "scroll(-1)", show=False, priority=True),
        Binding("pagedown", "scroll(1)", show=False, priority=True),
    ]

    def __init__(self, changes: Changes, group: str, partitions: Sequence[TopicPartition] | None) -> None:
        super().__init__()
        self.group = group
        self._changes = changes
        self._partitions = partitions
        self._preview: Preview | None = None
        self._busy = False

    def compose_body(self) -> ComposeResult:
        """Title, preview, answer."""
        yield Block(dom_id="head")
        yield Lines(empty="", indent=4, dom_id="text")
        yield Input(id="answer", select_on_focus=False)

    def on_mount(self) -> None:
        """Ask the first question."""
        self.focus_main()
        if self._partitions is None:
            self._ask(f"Delete {self.group}", "")
            self._in_thread(lambda: self._changes.preview_delete(self.group), self._previewed)
        else:
            names = ", ".join(map(str, self._partitions)) or "all that it has committed"
            self._ask(f"Reset {self.group}: {names}", "Where to?")
            self._say(Text(f" {WHERE_TO}", "dim"))

    def focus_main(self) -> None:
        """The answer has the keys."""
        self.query_one("#answer").focus()

    def action_scroll(self, step: int) -> None:
        """Through the preview."""
        self.query_one("#text", Lines).action_page(step)

    def _ask(self, title: str, question: str) -> None:
        self.query_one("#head", Block).show([Text(f" {title} ", "bold reverse"), Text("")])
        answer = self.query_one("#answer", Input)
        answer.value = ""
        answer.border_title = question
        answer.display = bool(question)
        if question:
            answer.focus()

    def _say(self, *lines: Text) -> None:
        self.query_one("#text", Lines).show(lines)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Where to, or the group's name."""
        if event.input.id != "answer" or self._busy:
            super().on_input_submitted(event)
        elif self._preview is None and self._partitions is not None:
            wanted, parts = event.value, self._partitions
            self._in_thread(lambda: self._changes.preview_reset(self.group, parts, wanted), self._previewed)
        elif self._preview is not None and event.value.strip() == self.group.strip():
            act = self._changes.delete if self._partitions is None else self._changes.reset
            self._in_thread(lambda: act(self.group), self._done)
        else:
            self.app.say(f"{event.value.strip()!r} is not {self.group!r}: nothing was changed.")

    def _previewed(self, preview: Preview) -> None:
        lines = [Text(line) for line in preview.lines]
        if preview.refused:
            self._ask(preview.title, "" if self._partitions is None else "Where to?")
            self._say(Text(preview.refused, "bold red"), Text(""), *lines)
            return
        self._preview = preview
        verb = "delete it" if self._partitions is None else "reset it"
        self._ask(preview.title, f"Type the group's name to {verb}")
        self._say(*lines)

    def _done(self, words: str) -> None:
        self.app.changed(words, gone=self.group if self._partitions is None else None)

    def _in_thread(self, ask: Callable[[], object], then: Callable[..., None]) -> None:
        """The cluster may be slow: the screen is not."""
        self._busy = True
        self._say(Text(" Asking the cluster …", "dim"))

        def finish(answer: object) -> None:
            self._busy = False
            if not self.is_attached:
                return
            if isinstance(answer, RotaError):
                self._say(Text(f" {answer}", "bold red"))
                self.query_one("#answer", Input).focus()
            else:
                then(answer)

        def work() -> None:
            try:
                answer: object = ask()
            except RotaError as error:
                answer = error
            self.app.call_from_thread(finish, answer)

        self.run_worker(work, thread=True)
