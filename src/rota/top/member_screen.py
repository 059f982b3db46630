"""One member of a group: what it holds, and what befell it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from rota.monitor.view import GroupView, MemberView, PartitionView
from rota.monitor.words import level_text, per_second, time_text
from rota.timeline.events import RebalanceCompleted
from rota.top.block import Block
from rota.top.group_page import PARTITION_COLUMNS, partition_cells
from rota.top.head import LEVEL_STYLES
from rota.top.lines import Lines
from rota.top.log_lines import event_lines
from rota.top.screens import Page
from rota.top.strip import look_style, mark
from rota.top.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from rota.top.group_screen import GroupScreen

__all__ = ["MemberScreen"]


class MemberScreen(Page):
    """Known by its name, so that a consumer that comes back is followed."""

    DEFAULT_CSS = """
    MemberScreen #events { height: 1fr; border-top: solid ansi_bright_black; }
    """
    KEYS = (
        ("esc", "back"),
        ("enter", "describe the partition"),
        ("d", "describe the member"),
        ("?", "help"),
        ("q", "quit"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [Binding("d", "describe", show=False)]

    def __init__(self, parent: GroupScreen, name: str) -> None:
        super().__init__()
        self.group = parent.group
        self.cast = parent.cast
        self.called = name
        self._parent_page = parent

    def compose_body(self) -> ComposeResult:
        """Head, partitions, events."""
        yield Block(dom_id="head")
        yield Table[PartitionView](
            tuple(column for column in PARTITION_COLUMNS if column.key != "owner"),
            lambda part: part.partition,
            lambda part: partition_cells(part, self.cast),
            empty="It holds no partition.",
            dom_id="partitions",
        )
        yield Lines(empty="Nothing is known of it from before.", follow=True, indent=12, dom_id="events")

    def on_mount(self) -> None:
        """Titles."""
        self.query_one("#events").border_title = "Events of this member"
        self.focus_main()

    def focus_main(self) -> None:
        """The table has the keys."""
        self.query_one("#partitions", Table).focus()

    @property
    def view(self) -> GroupView | None:
        """The group as it is now."""
        return self.app.views.get(self.group)

    def member(self) -> MemberView | None:
        """The member as it is now; None if it is gone."""
        view = self.view
        found = self.cast.ids.get(self.called)
        members = () if view is None else view.members
        return next((member for member in members if member.member.member_id == found), None)

    def news(self) -> None:
        """The member as it is now."""
        view, member = self.view, self.member()
        if view is not None:
            self.cast.take(view)
            member = self.member()
        self.query_one("#head", Block).show(self._head(member))
        held: Sequence[PartitionView] = ()
        if member is not None and view is not None:
            known = member.member.member_id
            held = [part for part in view.partitions if part.member and part.member.member_id == known]
        table = self.query_one("#partitions", Table)
        table.styles.height = min(len(held) + 1, self.size.height * 2 // 3)
        table.show(held, max((len(str(part.partition)) for part in held), default=0))
        if view is not None:
            self.query_one("#events", Lines).show(self._events(view))

    def _head(self, member: MemberView | None) -> list[Text]:
        look = self.cast.look_of(self.called)
        title = Text.assemble(
            (f" {mark(look)} ", look_style(look)), (f" {self.called} ", "bold reverse"), no_wrap=True
        )
        title.append(f"  in {self.group}")
        if member is None:
            return [title.append("  is no member any more", "bold yellow")]
        facts, totals = member.member, member.totals
        title.append(f"  at {facts.host.removeprefix('/')}")
        title.append("  static" if facts.instance_id else "  dynamic", "dim")
        ids = Text.assemble((" Id   ", "dim"), facts.member_id, no_wrap=True)
        if facts.epoch is not None:
            ids.append(f"  epoch {facts.epoch}" + (f" → {facts.target_epoch}" if facts.target_epoch else ""))
        style = LEVEL_STYLES[totals.rates.level]
        lag = Text.assemble((" Lag  ", "dim"), (f"{totals.lag:,}", f"bold {style}"), no_wrap=True)
        lag.append(
            f" records, {time_text(totals.time)} behind, out {per_second(totals.rates.consumed_per_s)}/s  "
        )
        lag.append(level_text(totals.rates.level), style)
        for line in (title, ids, lag):
            line.truncate(self.size.width, overflow="ellipsis")
        return [title, ids, lag]

    def _events(self, view: GroupView) -> list[Text]:
        """Those that concern it."""
        ids = {
            getattr(event, "member", None)
            for event in view.events
            if self._is_it(getattr(event, "member", ""))
        } | {self.cast.ids.get(self.called)}
        found = [
            event
            for event in view.events
            if getattr(event, "member", None) in ids
            or (isinstance(event, RebalanceCompleted) and ids & event.assignment.keys())
        ]
        return event_lines(view, self.cast, found)

    def _is_it(self, member_id: str) -> bool:
        return bool(member_id) and self.cast.name(member_id) == self.called

    def action_describe(self) -> None:
        """Everything about the member."""
        member = self.member()
        if member is not None:
            self.app.describe_member(self._parent_page, member.member.member_id)

    def on_table_chosen(self, _event: Table.Chosen) -> None:
        """Everything about a partition."""
        part = self.query_one("#partitions", Table).at
        if part is not None:
            self.app.describe_partition(self._parent_page, part.partition)
