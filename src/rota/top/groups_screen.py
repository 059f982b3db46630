"""All groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from rota.monitor.view import GroupView
from rota.top.block import Block
from rota.top.groups_page import COLUMNS, ORDERS, Order, cells, chosen, totals
from rota.top.screens import Page
from rota.top.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult


__all__ = ["GroupsScreen"]


class GroupsScreen(Page):
    """The list; what is in trouble comes first."""

    KEYS = (
        ("enter", "open"),
        ("d", "describe"),
        ("/", "filter"),
        (":", "command"),
        ("shift+letter", "sort"),
        ("ctrl+d", "delete"),
        ("?", "help"),
        ("q", "quit"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(order.key, f"sort('{order.name}')", show=False) for order in ORDERS),
        Binding("d", "describe", show=False),
        Binding("ctrl+d", "delete", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.order: Order = ORDERS[0]
        self.upwards = False
        self.filter = ""

    def compose_body(self) -> ComposeResult:
        """A head and the table."""
        yield Block(dom_id="head")
        yield Table[GroupView](
            COLUMNS,
            lambda view: view.facts.group,
            lambda view: cells(view, self.app.now_ms()),
            empty="",
            dom_id="groups",
        )

    @property
    def table(self) -> Table[GroupView]:
        """The groups."""
        return self.query_one("#groups", Table)

    def keys(self) -> Sequence[tuple[str, str]]:
        """Without what is not allowed."""
        return [key for key in self.KEYS if self.app.changes is not None or key[1] != "delete"]

    def news(self) -> None:
        """The groups as they are now."""
        views = self.app.views
        self.moving = any(view.facts.is_rebalancing or view.rebalance for view in views.values())
        shown = chosen(views.values(), self.filter, self.order, upwards=self.upwards)
        table = self.table
        table.sorted_by, table.upwards = self.order.column, self.upwards
        if not views:
            table.empty = "There are no groups." if self.app.looked else "Asking the cluster …"
        else:
            table.empty = f"No group matches {self.filter!r}: esc shows all."
        table.show(shown, max((len(view.facts.group) for view in shown), default=0))
        self.query_one("#head", Block).show([self._head(shown)])

    def _head(self, shown: Sequence[GroupView]) -> Text:
        line = Text.assemble((" rota top ", "bold reverse"), f"  {self.app.cluster}", no_wrap=True)
        line.append(f"  {', '.join(totals(shown))}")
        if self.filter:
            line.append("  filter ", "dim").append(self.filter, "bold")
        clock = self.app.clock_text()
        line.truncate(max(10, self.size.width - len(clock) - 2), overflow="ellipsis")
        gap = self.size.width - line.cell_len - len(clock) - 1
        return line.append(" " * max(1, gap)).append(clock, "dim")

    def tick(self) -> None:
        """Clocks of rebalances."""
        self.table.refresh()

    def focus_main(self) -> None:
        """The table has the keys."""
        self.table.focus()

    def filtered(self, value: str) -> None:
        """Only those that match."""
        self.filter = value
        self.news()

    def go_back(self) -> bool:
        """Without a filter there is nothing to go back to."""
        if not self.filter:
            return False
        self.filtered("")
        return True

    def sort(self, name: str) -> bool:
        """Another order; the same again turns it round."""
        found = next((order for order in ORDERS if order.name == name or order.key == name), None)
        if found is None:
            return False
        self.upwards = not self.upwards if found is self.order else False
        self.order = found
        self.news()
        return True

    def action_sort(self, name: str) -> None:
        """A key."""
        self.sort(name)

    def action_describe(self) -> None:
        """Everything about the group."""
        if self.table.at is not None:
            self.app.describe(self.table.at.facts.group)

    def action_delete(self) -> None:
        """Delete the group, after its name was typed."""
        if self.table.at is not None:
            self.app.delete(self.table.at.facts.group)

    def on_table_chosen(self, event: Table.Chosen) -> None:
        """Open a group."""
        self.app.open_group(str(event.key))
