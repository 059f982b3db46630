"""One group: who holds what, its members, partitions, events and findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal

from rota.monitor.cast import Cast, natural
from rota.monitor.view import GroupView, MemberView, PartitionView
from rota.top.block import Block
from rota.top.group_page import (
    MEMBER_COLUMNS,
    PARTITION_COLUMNS,
    draw_head,
    member_cells,
    partition_cells,
)
from rota.top.lines import Lines
from rota.top.log_lines import event_lines, finding_lines, last_rebalance
from rota.top.screens import Page
from rota.top.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.widget import Widget


__all__ = ["GroupScreen"]

TABLES = ("members", "partitions")
TEXTS = ("events", "doctor")
PANES = (*TABLES, *TEXTS)
EMPTY = {"members": "Nobody is in the group.", "partitions": "Nothing is committed or assigned."}
LEAST_TEXTS = 7
TALL = 30
WIDE = 100
VERY_WIDE = 170


class GroupScreen(Page):
    """Large terminals show all four panes, small ones the one that was asked for."""

    DEFAULT_CSS = """
    GroupScreen #tables { height: 1fr; layout: vertical; }
    GroupScreen #texts { height: 1fr; }
    GroupScreen.tall #tables { height: auto; }
    GroupScreen.wide #tables { layout: horizontal; }
    GroupScreen .pane { width: 1fr; height: 1fr; }
    GroupScreen.tall .pane { border-top: solid ansi_bright_black; border-title-color: ansi_default; }
    GroupScreen.tall .pane:focus { border-top: heavy ansi_cyan; border-title-style: bold; }
    GroupScreen.tall #tabs { display: none; }
    """
    KEYS = (
        ("esc", "back"),
        ("enter", "open"),
        ("tab", "next pane"),
        ("d", "describe"),
        ("f", "findings"),
        ("/", "filter"),
        ("r", "reset"),
        ("ctrl+d", "delete"),
        ("?", "help"),
        ("q", "quit"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "pane('members')", show=False),
        Binding("p", "pane('partitions')", show=False),
        Binding("e", "pane('events')", show=False),
        Binding("f", "pane('doctor')", show=False),
        Binding("tab,l,right", "next(1)", show=False, priority=True),
        Binding("shift+tab,h,left", "next(-1)", show=False, priority=True),
        Binding("d", "describe", show=False),
        Binding("ctrl+d", "delete", show=False),
        Binding("r", "reset", show=False),
        Binding("N", "sort('name')", show=False),
        Binding("L", "sort('lag')", show=False),
        Binding("T", "sort('time')", show=False),
    ]

    def __init__(self, group: str, cast: Cast) -> None:
        super().__init__()
        self.group = group
        self.cast = cast
        self.pane = "members"
        self.filter = ""
        self.order = "name"

    def compose_body(self) -> ComposeResult:
        """Head, tables, texts."""
        yield Block(dom_id="head")
        yield Block(dom_id="tabs")
        with Container(id="tables"):
            yield Table[MemberView](
                MEMBER_COLUMNS,
                lambda member: member.member.member_id,
                self._member_cells,
                empty=EMPTY["members"],
                dom_id="members",
            )
            yield Table[PartitionView](
                PARTITION_COLUMNS,
                lambda part: part.partition,
                lambda part: partition_cells(part, self.cast),
                empty=EMPTY["partitions"],
                dom_id="partitions",
            )
        with Horizontal(id="texts"):
            yield Lines(
                empty="Nothing has happened since rota top looks.", follow=True, indent=12, dom_id="events"
            )
            yield Lines(empty="The doctor finds nothing wrong.", indent=2, dom_id="doctor")

    def on_mount(self) -> None:
        """Panes have their border titles."""
        for name in PANES:
            self._pane(name).add_class("pane")
        self.focus_main()

    def _pane(self, name: str) -> Widget:
        return self.query_one(f"#{name}")

    def keys(self) -> Sequence[tuple[str, str]]:
        """Without what is not allowed."""
        return [key for key in self.KEYS if self.app.changes is not None or key[1] not in ("delete", "reset")]

    @property
    def view(self) -> GroupView | None:
        """The group as it is now; None if it is gone."""
        return self.app.views.get(self.group)

    # Drawing

    def news(self) -> None:
        """The group as it is now."""
        view = self.view
        if view is None:
            self._gone()
            return
        self.cast.take(view)
        self.moving = view.rebalance is not None or view.facts.is_rebalancing
        head = self._head(view)
        self._arrange(view, head)
        members = [member for member in view.members if self._is_wanted(self._member_words(member))]
        members.sort(key=self._member_order)
        self.query_one("#members", Table).show(
            members, max((len(self.cast.name(member.member.member_id)) for member in members), default=0)
        )
        parts = [part for part in view.partitions if self._is_wanted(self._partition_words(part))]
        parts.sort(key=self._partition_order)
        self.query_one("#partitions", Table).show(
            parts, max((len(str(part.partition)) for part in parts), default=0)
        )
        self.query_one("#events", Lines).show(event_lines(view, self.cast))
        self.query_one("#doctor", Lines).show(finding_lines(view.findings))
        self._titles(view)

    def _gone(self) -> None:
        words = (
            f" The group {self.group} does not exist (any more)."
            if self.app.looked
            else " Asking the cluster …"
        )
        self.query_one("#head", Block).show([Text(words, "bold yellow")])
        for name in ("members", "partitions"):
            self.query_one(f"#{name}", Table).show((), 0)

    def _head(self, view: GroupView) -> int:
        """Draw it; how many lines it has."""
        height = self.size.height
        room = max(6, height // 3)
        now_ms = self.app.now_ms()
        last = last_rebalance(view.told, now_ms)
        lines = draw_head(view, self.cast, self.size.width, room, now_ms, last)
        self.query_one("#head", Block).show(lines)
        return len(lines)

    def _titles(self, view: GroupView) -> None:
        titles = {
            "members": f"m Members {len(view.members)}",
            "partitions": f"p Partitions {len(view.partitions)}",
            "events": f"e Events {len(view.events)}",
            "doctor": f"f Doctor {len(view.findings) or ''}".rstrip(),
        }
        for name, empty in EMPTY.items():
            table = self.query_one(f"#{name}", Table)
            table.empty = f"None of them matches {self.filter!r}: esc shows all." if self.filter else empty
            if self.filter:
                titles[name] = f"{titles[name]}, {len(table.rows)} with {self.filter!r}"
        tabs = Text(" ")
        for name, title in titles.items():
            tabs.append(f" {title} ", "bold reverse" if name == self.pane else "dim").append(" ")
            self._pane(name).border_title = title
        self.query_one("#tabs", Block).show([tabs])

    def _arrange(self, view: GroupView, head: int) -> None:
        """Which panes there is room for, and how high the tables are: as high as they need, if all can be."""
        width, height = self.size
        tall, wide = height >= TALL, width >= VERY_WIDE
        self.set_class(tall, "tall")
        self.set_class(tall and wide, "wide")
        shown = {self.pane}
        if tall:
            below = self.pane if self.pane in TEXTS else "events"
            shown = {*TABLES, *(TEXTS if width >= WIDE else (below,))}
        for name in PANES:
            self._pane(name).display = name in shown
        self.query_one("#tables").display = bool(shown & set(TABLES))
        self.query_one("#texts").display = bool(shown & set(TEXTS))
        members, partitions = self._pane("members").styles, self._pane("partitions").styles
        if not tall:
            members.height = partitions.height = "1fr"
            return
        wanted = [max(1, len(view.members)) + 2, max(1, len(view.partitions)) + 2]
        room = height - head - 2
        room -= max(LEAST_TEXTS, room // 3)
        if wide:
            members.height = partitions.height = max(4, min(max(wanted), room))
        else:
            first = max(4, min(wanted[0], max(room - wanted[1], room * 2 // 5)))
            members.height = first
            partitions.height = max(4, min(wanted[1], room - first))

    def tick(self) -> None:
        """Clocks of pauses."""
        if self.view is not None:
            self._head(self.view)

    def _member_cells(self, member: MemberView) -> dict[str, tuple[str, str]]:
        view = self.view
        return {} if view is None else member_cells(member, view, self.cast, self.app.now_ms())

    # Order and filter

    def _is_wanted(self, words: str) -> bool:
        return all(
            (part[1:] not in words) if part[:1] == "!" else part in words
            for part in self.filter.lower().split()
        )

    def _member_words(self, member: MemberView) -> str:
        facts = member.member
        return f"{self.cast.name(facts.member_id)} {facts.member_id} {facts.host}".lower()

    def _partition_words(self, part: PartitionView) -> str:
        owner = "nobody" if part.member is None else self.cast.name(part.member.member_id)
        return f"{part.partition} {owner}".lower()

    def _member_order(self, member: MemberView) -> tuple[object, ...]:
        name = natural(self.cast.name(member.member.member_id))
        if self.order == "lag":
            return -member.totals.lag, name
        return (-(member.totals.time.seconds or 0), name) if self.order == "time" else name

    def _partition_order(self, part: PartitionView) -> tuple[object, ...]:
        if self.order == "lag":
            return -(part.lag or 0), part.partition
        return (-(part.time.seconds or 0), part.partition) if self.order == "time" else part.partition

    # Keys

    def focus_main(self) -> None:
        """The pane has the keys."""
        self._pane(self.pane).focus()

    def action_pane(self, name: str) -> None:
        """Another pane."""
        self.pane = name
        self.redraw()
        self.focus_main()

    def action_next(self, step: int) -> None:
        """The pane beside it."""
        self.action_pane(PANES[(PANES.index(self.pane) + step) % len(PANES)])

    def action_sort(self, name: str) -> None:
        """Another order of members and partitions."""
        self.sort(name)

    def sort(self, name: str) -> bool:
        """Another order of members and partitions."""
        if name not in ("name", "lag", "time"):
            return False
        self.order = name
        for pane in ("members", "partitions"):
            self.query_one(f"#{pane}", Table).sorted_by = name
        self.redraw()
        return True

    def filtered(self, value: str) -> None:
        """Only members and partitions that match."""
        self.filter = value
        self.redraw()

    def go_back(self) -> bool:
        """First out of the filter, then out of the group."""
        if self.filter:
            self.filtered("")
            return True
        return False

    def action_describe(self) -> None:
        """Everything about what the cursor is on."""
        if self.pane == "members" and (member := self.query_one("#members", Table).at) is not None:
            self.app.describe_member(self, member.member.member_id)
        elif self.pane == "partitions" and (part := self.query_one("#partitions", Table).at) is not None:
            self.app.describe_partition(self, part.partition)
        else:
            self.app.describe(self.group)

    def action_delete(self) -> None:
        """Delete the group, after its name was typed."""
        self.app.delete(self.group)

    def action_reset(self) -> None:
        """Move committed offsets, after a look at what that means."""
        part = self.query_one("#partitions", Table).at if self.pane == "partitions" else None
        self.app.reset(self.group, None if part is None else part.partition)

    def on_table_chosen(self, event: Table.Chosen) -> None:
        """Open a member, or describe a partition."""
        if event.table.id == "members":
            self.app.open_member(self, str(event.key))
        else:
            self.action_describe()
