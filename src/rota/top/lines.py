"""Lines of text that are wrapped to the width and can be scrolled; the newest stays in sight if one wants."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from rota.top.block import PLAIN, strip_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Lines", "wrap"]


def wrap(lines: Iterable[Text], width: int, indent: int = 2) -> list[Text]:
    """Long lines in several, cut at spaces; the later ones are indented by so much more than the first."""
    found: list[Text] = []
    for line in lines:
        room = max(8, width)
        own = len(line.plain) - len(line.plain.lstrip())
        deeper = min(own + indent, room // 2)
        rest = line
        while rest.cell_len > room:
            cut = rest.plain.rfind(" ", deeper + 1, room + 1)
            cut = room if cut < 0 else cut
            found.append(rest[:cut])
            left = rest[cut:]
            left = left[len(left.plain) - len(left.plain.lstrip()) :]
            rest = Text(" " * deeper).append_text(left)
        found.append(rest)
    return found


class Lines(ScrollView, can_focus=True):
    """Shows text. ``follow``: as long as nobody scrolls up, the end is in sight."""

    DEFAULT_CSS = """
    Lines { overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; scrollbar-gutter: stable; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "by(-1)", show=False),
        Binding("down,j", "by(1)", show=False),
        Binding("pageup,ctrl+b", "page(-1)", show=False),
        Binding("pagedown,ctrl+f,space", "page(1)", show=False),
        Binding("home,g", "edge(0)", show=False),
        Binding("end,G", "edge(1)", show=False),
    ]

    def __init__(
        self, *, empty: str, follow: bool = False, indent: int = 2, dom_id: str | None = None
    ) -> None:
        super().__init__(id=dom_id)
        self.empty = empty
        self._follow = follow
        self._indent = indent
        self._lines: Sequence[Text] = ()
        self._wrapped: list[Text] = []

    def show(self, lines: Sequence[Text]) -> None:
        """Other lines."""
        if lines == self._lines:
            return
        self._lines = lines
        self._lay_out()

    @property
    def text(self) -> str:
        """What is shown, without colours."""
        return "\n".join(line.plain for line in self._lines)

    def on_resize(self) -> None:
        """The width decides where lines are cut."""
        self._lay_out()

    def _lay_out(self) -> None:
        at_end = self.scroll_y >= self.max_scroll_y
        width = self.scrollable_content_region.width
        if width <= 0:
            return
        self._wrapped = wrap(self._lines or [Text(self.empty, "dim")], width, self._indent)
        self.virtual_size = Size(width, len(self._wrapped))
        if self._follow and at_end:
            self.call_after_refresh(self.scroll_end, animate=False, immediate=True, force=True)
        self.refresh()

    def action_by(self, step: int) -> None:
        """Some lines up or down."""
        self.scroll_to(y=self.scroll_y + step, animate=False, immediate=True)

    def action_page(self, step: int) -> None:
        """Some screenfuls up or down."""
        self.scroll_to(y=self.scroll_y + step * max(1, self.size.height - 1), animate=False, immediate=True)

    def action_edge(self, end: int) -> None:
        """To the beginning or the end."""
        self.scroll_to(y=self.max_scroll_y if end else 0, animate=False, immediate=True)

    def render_line(self, y: int) -> Strip:
        """One line."""
        width = self.scrollable_content_region.width
        place = y + int(self.scroll_y)
        if place >= len(self._wrapped):
            return Strip.blank(width, PLAIN)
        return strip_of(self._wrapped[place], width)
