"""A few lines that are drawn as they are: heads and the line of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from rota.model import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.text import Text

__all__ = ["PLAIN", "Block", "strip_of"]

PLAIN: Final = Style()  # never None: what takes colours away for NO_COLOR wants a style everywhere
_CONSOLE: Final = Console(width=80, color_system="truecolor", force_terminal=True, legacy_windows=False)


def strip_of(line: Text, width: int) -> Strip:
    """A line of text, cut or filled to the width."""
    base = _CONSOLE.get_style(line.style)
    segments = [
        Segment(printable(text), base + style if style is not None else base)
        for text, style, _ in line.render(_CONSOLE, end="")
    ]
    return Strip(segments).adjust_cell_length(width, PLAIN)


class Block(Widget):
    """As high as it has lines."""

    DEFAULT_CSS = """
    Block { height: auto; width: 1fr; }
    """

    def __init__(self, *, dom_id: str | None = None) -> None:
        super().__init__(id=dom_id)
        self._lines: Sequence[Text] = ()

    def show(self, lines: Iterable[Text]) -> None:
        """Other lines."""
        found = list(lines)
        if len(found) != len(self._lines):
            self.styles.height = len(found)
        self._lines = found
        self.refresh()

    @property
    def text(self) -> str:
        """What is shown, without colours."""
        return "\n".join(line.plain for line in self._lines)

    def render_line(self, y: int) -> Strip:
        """One of them."""
        width = self.size.width
        return strip_of(self._lines[y], width) if y < len(self._lines) else Strip.blank(width, PLAIN)
