"""What all screens have in common: a prompt for `:` and `/`, a line of keys, and news from the app."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.suggester import SuggestFromList
from textual.widgets import Input

from rota.top.block import Block

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from rota.top.app import Top

__all__ = ["COMMANDS", "Page", "key_lines"]

COMMANDS = (
    "groups",
    "group ",
    "member ",
    "members",
    "partitions",
    "events",
    "doctor",
    "describe",
    "sort ",
    "filter ",
    "changes",
    "help",
    "quit",
)


def key_lines(keys: Sequence[tuple[str, str]], width: int) -> list[Text]:
    """The keys and what they do, as many as one line holds; the last two always."""
    line, room = Text(" ", no_wrap=True), width
    last = Text()
    for key, words in keys[-2:]:
        last.append(key, "bold").append(f" {words}  ", "dim")
    for key, words in keys[:-2]:
        piece = Text.assemble((key, "bold"), (f" {words}  ", "dim"))
        if line.cell_len + piece.cell_len + last.cell_len > room:
            break
        line.append_text(piece)
    return [line.append_text(last)]


class Prompt(Input):
    """One line at the bottom, for a command or a filter."""

    DEFAULT_CSS = """
    Prompt { dock: bottom; height: 1; border: none; padding: 0 1; display: none; }
    Prompt:focus { border: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", show=False)]

    def __init__(self) -> None:
        super().__init__(compact=True, select_on_focus=False)
        self.kind = ""

    def open(self, kind: str, value: str, words: Sequence[str]) -> None:
        """Begin to ask."""
        self.kind = kind
        self.placeholder = (
            "a command: groups, group NAME, sort lag, help, quit …" if kind == ":" else "filter"
        )
        self.suggester = SuggestFromList(words, case_sensitive=False) if words else None
        self.display = True
        self.value = value
        self.cursor_position = len(value)
        self.screen.set_focus(self)

    def action_cancel(self) -> None:
        """Never mind."""
        page = self.screen
        assert isinstance(page, Page)
        page.prompt_closed(None)


class Page(Screen[None]):
    """A screen. ``news`` is called with every look and when it comes to the front, ``tick`` as time goes by."""

    KEYS: ClassVar[tuple[tuple[str, str], ...]] = ()
    app: Top
    group = ""
    """The group that it shows; "" for none in particular."""
    moving = False
    """Whether clocks run on it that should be seen running."""

    def compose_body(self) -> ComposeResult:
        """Everything between the banner and the keys."""
        yield from ()

    def compose(self) -> ComposeResult:
        """Banner, body, keys, prompt."""
        yield Block(dom_id="banner")
        yield from self.compose_body()
        yield Block(dom_id="keys")
        yield Prompt()

    def news(self) -> None:
        """Draw it anew."""

    def tick(self) -> None:
        """Draw the clocks anew."""

    def on_screen_resume(self) -> None:
        """It comes to the front."""
        self.app.source.look_closely([self.group] if self.group else ())
        self.redraw()

    def on_resize(self) -> None:
        """Another size."""
        self.redraw()

    def redraw(self) -> None:
        """All of it, if it is there."""
        if self.is_composed and self.size.width:
            self.show_banner()
            self.query_one("#keys", Block).show(key_lines(self.keys(), self.size.width))
            self.news()

    def keys(self) -> Sequence[tuple[str, str]]:
        """What the line of keys says."""
        return self.KEYS

    def show_banner(self) -> None:
        """What is wrong with the cluster, or with what one has asked for; nothing if all is well."""
        self.query_one("#banner", Block).show(self.app.banner(self.size.width))

    @property
    def is_composed(self) -> bool:
        """Whether what it consists of is there; a screen comes to the front a moment before."""
        return bool(self.query("#keys"))

    # The prompt

    def ask(self, kind: str, value: str = "", words: Sequence[str] = ()) -> None:
        """Open the prompt."""
        self.query_one(Prompt).open(kind, value, words)

    def prompt_closed(self, value: str | None) -> None:
        """The prompt was answered, or not (None)."""
        prompt = self.query_one(Prompt)
        kind = prompt.kind
        prompt.display = False
        self.focus_main()
        if kind == ":" and value:
            self.app.command(value)
        elif kind == "/":
            self.filtered(value or "")

    def focus_main(self) -> None:
        """Give the keys back to what they were for."""

    def filtered(self, value: str) -> None:
        """Another filter, or none."""

    def go_back(self) -> bool:
        """Whether there was something here to get out of, before the screen is left."""
        return False

    def on_input_changed(self, event: Input.Changed) -> None:
        """A filter counts while one types."""
        if isinstance(event.input, Prompt) and event.input.display and event.input.kind == "/":
            self.filtered(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        if isinstance(event.input, Prompt):
            self.prompt_closed(event.value)
