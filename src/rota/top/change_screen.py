"""Changing something: where to (of a reset), a preview, and the group's name, typed, before anything is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import Input

from rota.top.block import Block
from rota.top.changes import WHERE_TO, one_line
from rota.top.lines import Lines
from rota.top.screens import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.app import ComposeResult

    from rota.model import TopicPartition
    from rota.top.source import Changes, Done, Preview

__all__ = ["ChangeScreen"]

_T = TypeVar("_T")


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
        self._wanted = ""
        self._busy = False
        self._acting = False

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
            self._plan()
        else:
            self._ask_where()
            self._say(Text(f" {WHERE_TO}", "dim"))

    def focus_main(self) -> None:
        """The answer has the keys."""
        self.query_one("#answer").focus()

    def action_scroll(self, step: int) -> None:
        """Through the preview."""
        self.query_one("#text", Lines).action_page(step)

    def go_back(self) -> bool:
        """What is being done cannot be left: one would not learn what became of it."""
        if self._acting:
            self.app.notice = "It is being done; what became of it is said here."
        return self._acting

    def _ask_where(self) -> None:
        names = ", ".join(map(str, self._partitions or ())) or "all that it has committed"
        self._ask(f"Reset {self.group}: {names}", "Where to?")

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
            self._wanted = event.value
            self._plan()
        elif self._preview is not None and event.value.strip() == self.group.strip():
            self._act()
        else:
            self.app.say(f"{event.value.strip()!r} is not {self.group!r}: nothing was changed.")

    def _plan(self, before: str = "") -> None:
        """Show what would be done; ``before``: why it is shown anew."""
        self._preview = None

        def ask() -> Preview:
            if self._partitions is None:
                return self._changes.preview_delete(self.group)
            return self._changes.preview_reset(self.group, self._partitions, self._wanted)

        def failed(words: str) -> None:
            if before and self._partitions is not None:
                self._ask_where()
            elif before:
                self._ask(f"Delete {self.group}", "")
            self._say(*([Text(f" {before}", "bold red")] if before else []), Text(f" {words}", "bold red"))

        self._in_thread(ask, lambda preview: self._previewed(preview, before), failed)

    def _previewed(self, preview: Preview, before: str) -> None:
        lines = [Text(line) for line in preview.lines]
        if before:
            lines = [Text(f"{before} This is how it is now:", "bold red"), Text(""), *lines]
        if preview.refused:
            self._ask(preview.title, "" if self._partitions is None else "Where to?")
            self._say(Text(preview.refused, "bold red"), Text(""), *lines)
            return
        self._preview = preview
        verb = "delete it" if self._partitions is None else "reset it"
        self._ask(preview.title, f"Type the group's name to {verb}")
        self._say(*lines)

    def _act(self) -> None:
        """Do what is shown; what is shown no longer counts if that is refused."""
        assert self._preview is not None
        self._acting, shown = True, self._preview
        act = self._changes.delete if self._partitions is None else self._changes.reset
        self._in_thread(
            lambda: act(self.group, shown),
            self._done,
            lambda words: self._plan(f"Nothing was changed: {words}."),
        )

    def _done(self, done: Done) -> None:
        gone = self.group if self._partitions is None and not done.failed else None
        self.app.changed(self, done, gone)

    def _in_thread(
        self, ask: Callable[[], _T], then: Callable[[_T], None], failed: Callable[[str], None]
    ) -> None:
        """The cluster may be slow: the screen is not."""
        self._busy = True
        self._say(Text(" Asking the cluster …", "dim"))

        def finish(go_on: Callable[[], None]) -> None:
            self._busy = self._acting = False
            if self.is_attached:
                self.query_one("#answer", Input).focus()
                go_on()

        def work() -> None:
            try:
                answer = ask()
            except Exception as error:
                words = one_line(error)
                self.app.call_from_thread(finish, lambda: failed(words))
            else:
                self.app.call_from_thread(finish, lambda: then(answer))

        self.run_worker(work, thread=True)
