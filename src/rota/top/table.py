"""A table that draws only what can be seen, so that thousands of rows cost no more than a screenful."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from rota.model import printable
from rota.top.block import PLAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from textual import events

__all__ = ["Cell", "Column", "Table", "fitted", "shortened"]

T = TypeVar("T")

Cell = tuple[str, str]
"""A text and its style, in rich's words; "" for none."""

GAP: Final = 2
ROOMY: Final = 32
LITTLE: Final = 4
"""From this rank on columns give way to a name of up to `ROOMY` cells."""
HEAD: Final = Style.parse("dim")
HEAD_SORTED: Final = Style.parse("bold")


@dataclass(frozen=True, slots=True)
class Column:
    """One column. ``width`` is that of its widest cell; ``rank``: those of a higher one go first where it is narrow.

    The column with ``least`` may be shortened down to so many cells before others go. One that grows takes what is
    left.
    """

    key: str
    title: str
    width: int
    right: bool = False
    rank: int = 0
    least: int | None = None
    grows: bool = False


def fitted(columns: Sequence[Column], width: int, wanted: int) -> list[tuple[Column, int]]:
    """The columns that fit, with their widths; ``wanted`` is what the one that can be shortened would like.

    It is given up to `ROOMY` cells before columns that matter little are shown.
    """
    kept = _without(_shortest(columns, ROOMY, wanted), width, LITTLE)
    kept = _without(
        _shortest([each for each in columns if each.key in {one.key for one in kept}], 0, wanted), width, 1
    )
    spare = max(0, width - _least(kept))
    sizes = []
    for column in kept:
        size = column.width
        if column.least is not None:
            size = min(max(wanted, cell_len(column.title) + 1), column.least + spare)
            spare -= size - column.least
        sizes.append((column, size))
    return [(column, size + max(0, spare) if column.grows else size) for column, size in sizes]


def _shortest(columns: Sequence[Column], room: int, wanted: int) -> list[Column]:
    """The columns with ``least`` no longer than anything in it, and with ``room`` if that is more."""
    return [
        column
        if column.least is None
        else replace(column, least=min(max(column.least, room), max(wanted, cell_len(column.title) + 1)))
        for column in columns
    ]


def _without(columns: Sequence[Column], width: int, rank: int) -> list[Column]:
    """Without as many of this rank and above as need be."""
    kept = list(columns)
    while _least(kept) > width:
        worst = max(kept, key=lambda column: column.rank)
        if worst.rank < rank:
            break
        kept.remove(worst)
    return kept


def _least(columns: Sequence[Column]) -> int:
    sizes = [column.width if column.least is None else column.least for column in columns]
    return sum(sizes) + GAP * (len(sizes) - 1) + 1


def shortened(text: str, width: int) -> str:
    """Both ends of a name tell it apart, the middle seldom does: ``orders-…-eu-3``."""
    if cell_len(text) <= width:
        return text
    tail = (width - 1) // 3
    head = set_cell_size(text, width - 1 - tail).rstrip()
    return f"{head}…{text[len(text) - tail :] if tail else ''}"


class Table(ScrollView, Generic[T], can_focus=True):
    """Rows of anything: ``key_of`` tells them apart, ``draw`` gives their cells by column.

    The cursor stays on its row's key when rows come, go and change places.
    """

    DEFAULT_CSS = """
    Table { overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup,ctrl+b", "page(-1)", show=False),
        Binding("pagedown,ctrl+f,space", "page(1)", show=False),
        Binding("home,g", "edge(0)", show=False),
        Binding("end,G", "edge(1)", show=False),
        Binding("enter", "choose", show=False),
    ]

    class Chosen(Message):
        """Enter, or a second click, on a row."""

        def __init__(self, table: Table[Any], key: Hashable) -> None:
            super().__init__()
            self.table = table
            self.key = key

    def __init__(
        self,
        columns: Sequence[Column],
        key_of: Callable[[T], Hashable],
        draw: Callable[[T], dict[str, Cell]],
        *,
        empty: str,
        dom_id: str | None = None,
    ) -> None:
        super().__init__(id=dom_id)
        self.columns = columns
        self.rows: Sequence[T] = ()
        self.empty = empty
        """What is said where there are no rows."""
        self.sorted_by = ""
        self.upwards = False
        self._key_of = key_of
        self._draw = draw
        self._places: dict[Hashable, int] = {}
        self._at: Hashable = None
        self._row = 0
        self._wanted = 0

    # What is shown

    def show(self, rows: Sequence[T], wanted: int) -> None:
        """Other rows; ``wanted`` is the width that the column which can be shortened would like."""
        self.rows, self._wanted = rows, wanted
        self._places = {self._key_of(row): place for place, row in enumerate(rows)}
        self._row = self._places.get(self._at, min(self._row, max(0, len(rows) - 1)))
        self._at = self._key_of(rows[self._row]) if rows else None
        self.virtual_size = Size(self._width, len(rows) + 1)
        self._keep_in_view()
        self.refresh()

    @property
    def at(self) -> T | None:
        """The row that the cursor is on."""
        return self.rows[self._row] if self.rows else None

    def go_to(self, key: Hashable) -> None:
        """Put the cursor on a row, if it is there."""
        if key in self._places:
            self._put(self._places[key])

    def rest(self) -> int:
        """How many rows do not fit on the screen."""
        return max(0, len(self.rows) - max(0, self.size.height - 1))

    # Keys

    def action_move(self, step: int) -> None:
        """One row up or down."""
        self._put(self._row + step)

    def action_page(self, step: int) -> None:
        """One screenful up or down."""
        self._put(self._row + step * max(1, self.size.height - 2))

    def action_edge(self, end: int) -> None:
        """To the first or the last row."""
        self._put(len(self.rows) if end else 0)

    def action_choose(self) -> None:
        """Open the row."""
        if self.rows:
            self.post_message(self.Chosen(self, self._at))

    def on_click(self, event: events.Click) -> None:
        """A click puts the cursor there; a second one opens."""
        row = event.y + int(self.scroll_y) - 1
        if event.y == 0 or not 0 <= row < len(self.rows):
            return
        if row == self._row and event.chain > 1:
            self.action_choose()
        self._put(row)

    def _put(self, row: int) -> None:
        if not self.rows:
            return
        self._row = min(max(row, 0), len(self.rows) - 1)
        self._at = self._key_of(self.rows[self._row])
        self._keep_in_view()
        self.refresh()

    def _keep_in_view(self) -> None:
        self.scroll_to_region(Region(0, self._row, self._width, 2), animate=False, immediate=True, force=True)

    # Drawing

    @property
    def _width(self) -> int:
        """Without the scroll bar."""
        return self.scrollable_content_region.width

    def on_resize(self) -> None:
        """The width decides which columns there are."""
        self.virtual_size = Size(self._width, len(self.rows) + 1)
        self._keep_in_view()

    def on_focus(self) -> None:
        """The cursor is seen."""
        self.refresh()

    def on_blur(self) -> None:
        """The cursor is seen less."""
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """The head, or one row."""
        width = self._width
        if y == 0:
            return self._head(width)
        place = y - 1 + int(self.scroll_y)
        if place >= len(self.rows):
            text = f" {self.empty}" if not self.rows and y == 1 else ""
            return Strip([Segment(set_cell_size(text, width), HEAD if text else PLAIN)], width)
        cells = self._draw(self.rows[place])
        marked = place == self._row and self.has_focus
        base = Style(reverse=True) if marked else Style()
        line = [Segment(">" if marked else " ", base)]
        for column, size in self._fitted(width):
            text, words = cells.get(column.key, ("", ""))
            text = printable(text)
            text = shortened(text, size) if column.least is not None else text
            style = Style.parse(words)
            if marked and style.bgcolor is None:  # an owner keeps its colours under the cursor
                style = base
            line += [Segment(_aligned(text, size, column.right), style), Segment(" " * GAP, base)]
        return Strip(line).adjust_cell_length(width, base)

    def _head(self, width: int) -> Strip:
        line = [Segment(" ", HEAD)]
        for column, size in self._fitted(width):
            mark = ("↑" if self.upwards else "↓") if column.key == self.sorted_by else ""
            style = HEAD_SORTED if mark else HEAD
            title = mark + column.title if column.right else column.title + mark
            line += [Segment(_aligned(title, size, column.right), style), Segment(" " * GAP, HEAD)]
        return Strip(line).adjust_cell_length(width, PLAIN)

    def _fitted(self, width: int) -> list[tuple[Column, int]]:
        return fitted(self.columns, width, self._wanted)


def _aligned(text: str, size: int, right: bool) -> str:
    missing = size - cell_len(text)
    if missing < 0:
        return set_cell_size(text, size - 1) + "…"
    return " " * missing + text if right else text + " " * missing
