"""The application: looks come in from a thread, screens are opened and closed, commands are carried out."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import App
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input

from rota.monitor.cast import Cast
from rota.monitor.words import age
from rota.top.change_screen import ChangeScreen
from rota.top.group_screen import PANES, GroupScreen
from rota.top.groups_page import ORDERS
from rota.top.groups_screen import GroupsScreen
from rota.top.log_lines import describe_group, describe_member, describe_partition
from rota.top.member_screen import MemberScreen
from rota.top.screens import COMMANDS, Page
from rota.top.text_screen import TextScreen, change_lines, help_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rota.model import TopicPartition
    from rota.monitor.view import GroupView
    from rota.top.source import Changes, Done, Source

__all__ = ["Top"]

WAIT_S = 1.0
STALE_LOOKS = 3
"""After so many looks that did not come, what is on screen is said to be old."""


def clock_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Looked(Message):
    """There is a newer look; one that waits for its turn is enough."""

    def can_replace(self, message: Message) -> bool:
        """The screens read what is newest anyway."""
        return isinstance(message, Looked)


class Top(App[None]):
    """``source`` is read in a thread of its own; ``changes`` None means that nothing may be changed."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { layers: base; }
    * { scrollbar-color: ansi_bright_black; scrollbar-background: ansi_default; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", show=False),
        Binding("ctrl+c", "quit", show=False, priority=True),
        Binding("ctrl+q", "quit", show=False, priority=True),
        Binding("ctrl+z", "suspend_process", show=False, priority=True),
        Binding("question_mark,f1", "help", show=False),
        # Before any widget: what is typed or pasted right behind it belongs to the prompt.
        Binding("colon", "prompt(':')", show=False, priority=True),
        Binding("slash", "prompt('/')", show=False, priority=True),
        Binding("escape,backspace", "back", show=False),
    ]

    def __init__(
        self,
        source: Source,
        cluster: str,
        *,
        group: str | None = None,
        interval_s: float = 2.0,
        changes: Changes | None = None,
        now_ms: Callable[[], int] = clock_ms,
    ) -> None:
        super().__init__(ansi_color=True)  # the terminal's own colours, dark or light
        self.theme = "ansi-dark"
        self.source = source
        self.cluster = cluster
        self.changes = changes
        self.now_ms = now_ms
        self.views: Mapping[str, GroupView] = {}
        self.looked = False
        self.notice = ""
        self._casts: dict[str, Cast] = {}
        self._first = group
        self._interval_s = interval_s
        self._looked_ms = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="top-follow", daemon=True)

    # Looks

    def on_mount(self) -> None:
        """Begin."""
        self.push_screen(GroupsScreen())
        if self._first is not None:
            self.open_group(self._first)
        self._fast = self.set_interval(0.1, self._run_clocks, pause=True)
        self.set_interval(1.0, self._second)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            with contextlib.suppress(
                ValueError, RuntimeError
            ):  # in a thread, as in tests, there are no signals
                loop.add_signal_handler(number, self._told_to_end, number)
        self._thread.start()

    def _told_to_end(self, number: int) -> None:
        self.exit(return_code=128 + number)

    def on_unmount(self) -> None:
        """End."""
        self._ended.set()

    def _follow(self) -> None:
        """In the thread: tell the app of every look."""
        number = 0
        while not self._ended.is_set():
            newer = self.source.wait(number, WAIT_S)
            if newer != number and not self._ended.is_set():
                number = newer
                self.post_message(Looked())

    def on_looked(self) -> None:
        """Show the newest look."""
        self.views = self.source.views()
        if self.views or self.source.failure is None:
            self.looked = True
        if not self.source.is_away:
            self._looked_ms = self.now_ms()
        self._show()

    def _show(self) -> None:
        page = self.screen
        if isinstance(page, Page):
            page.redraw()
            (self._fast.resume if page.moving else self._fast.pause)()

    def _run_clocks(self) -> None:
        page = self.screen
        if isinstance(page, Page) and page.moving and page.is_composed:
            page.tick()

    def _second(self) -> None:
        page = self.screen
        if isinstance(page, Page) and page.is_composed:
            page.show_banner()

    def clock_text(self) -> str:
        """When what is on screen was looked at."""
        if not self._looked_ms:
            return ""
        return f"{datetime.fromtimestamp(self._looked_ms / 1000).astimezone():%H:%M:%S}"

    def banner(self, width: int) -> list[Text]:
        """That the cluster is away and how old all on screen is, or that not all was seen; and what else there is."""
        lines = []
        late_s = (self.now_ms() - self._looked_ms) / 1000 if self._looked_ms else 0.0
        failure = self.source.failure
        if self.source.is_away or late_s > max(5.0, STALE_LOOKS * self._interval_s):
            old = (
                f"what is on screen is {age(late_s)} old" if self._looked_ms else "nothing was seen of it yet"
            )
            why = f": {failure}" if failure is not None else ", no answer so far"
            lines.append(Text(f" THE CLUSTER IS AWAY, {old}{why}", "bold reverse red", no_wrap=True))
        elif failure is not None:
            lines.append(Text(f" NOT EVERYTHING IS SEEN: {failure}", "bold reverse", no_wrap=True))
        if self.notice:
            lines.append(Text(f" {self.notice}", "bold reverse", no_wrap=True))
        for line in lines:
            line.truncate(width, overflow="ellipsis", pad=True)
        return lines

    def say(self, words: str) -> None:
        """One line at the top, until the next key that opens or closes something."""
        self.notice = words
        page = self.screen
        if isinstance(page, Page) and page.is_composed:
            page.show_banner()

    # Going about

    def go(self, page: Page) -> None:
        """Open a screen on top."""
        self.notice = ""
        self.push_screen(page)

    def open_group(self, group: str) -> None:
        """One group."""
        self.go(GroupScreen(group, self.cast(group)))

    def open_member(self, parent: GroupScreen, member_id: str) -> None:
        """One member."""
        self.go(MemberScreen(parent, parent.cast.name(member_id)))

    def describe(self, group: str) -> None:
        """Everything about a group."""
        cast = self.cast(group)

        def lines() -> list[Text]:
            view = self.views.get(group)
            return [] if view is None else describe_group(view, cast)

        self.go(TextScreen(f"group {group}", lines, group=group))

    def describe_member(self, parent: GroupScreen, member_id: str) -> None:
        """Everything about a member."""

        def lines() -> list[Text]:
            view = self.views.get(parent.group)
            members = () if view is None else view.members
            found = next((member for member in members if member.member.member_id == member_id), None)
            return [] if found is None else describe_member(found, parent.cast)

        self.go(TextScreen(f"member {parent.cast.name(member_id)}", lines, group=parent.group))

    def describe_partition(self, parent: GroupScreen, partition: TopicPartition) -> None:
        """Everything about a partition."""

        def lines() -> list[Text]:
            view = self.views.get(parent.group)
            parts = () if view is None else view.partitions
            found = next((part for part in parts if part.partition == partition), None)
            return [] if found is None else describe_partition(found, parent.cast)

        self.go(TextScreen(f"partition {partition} in {parent.group}", lines, group=parent.group))

    def cast(self, group: str) -> Cast:
        """Who is who in a group: the same letters and colours whenever it is opened."""
        cast = self._casts.setdefault(group, Cast())
        if group in self.views:
            cast.take(self.views[group])
        return cast

    async def action_back(self) -> None:
        """Out of a filter, or to the screen before."""
        page = self.screen
        self.notice = ""
        if isinstance(page, Page) and not page.go_back() and not isinstance(page, GroupsScreen):
            self.pop_screen()
        elif isinstance(page, Page):
            page.show_banner()

    def action_help(self) -> None:
        """All keys."""
        if not (isinstance(self.screen, TextScreen) and self.screen.heading == "help"):
            self.go(TextScreen("help", lambda: help_lines(self.changes is not None), indent=14))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Where one types, a colon is a colon."""
        if action == "prompt" and isinstance(self.focused, Input):
            return False
        return super().check_action(action, parameters)

    def action_prompt(self, kind: str) -> None:
        """Ask for a command or a filter."""
        page = self.screen
        if isinstance(page, Page):
            words = [
                *COMMANDS,
                *(f"group {name}" for name in self.views),
                *(f"sort {o.name}" for o in ORDERS),
            ]
            page.ask(kind, getattr(page, "filter", "") if kind == "/" else "", words if kind == ":" else ())

    def command(self, text: str) -> None:
        """Carry out what was typed behind the colon."""
        word, _, rest = text.strip().partition(" ")
        rest = rest.strip()
        page = self.screen
        if word in ("q", "q!", "quit", "exit"):
            self.exit()
        elif word in ("help", "h"):
            self.action_help()
        elif word == "changes":
            self.show_changes()
        elif word in ("groups", "g") and not rest:
            while len(self.screen_stack) > 2:
                self.pop_screen()
        elif word in ("group", "g") and rest:
            self._open_named(rest)
        elif word == "sort" and isinstance(page, GroupsScreen | GroupScreen) and page.sort(rest):
            pass
        elif word == "filter" and isinstance(page, Page):
            page.filtered(rest)
        elif word == "describe" and rest:
            self.describe(rest)
        elif word in PANES and isinstance(page, GroupScreen):
            page.action_pane(word)
        elif word == "member" and isinstance(page, GroupScreen) and rest in page.cast.ids:
            self.open_member(page, page.cast.ids[rest])
        else:
            self.say(f"{text.strip()!r} is no command here; ? lists them.")

    def _open_named(self, name: str) -> None:
        if name in self.views:
            self.open_group(name)
        else:
            self.say(f"There is no group {name!r}.")

    # Changes

    def delete(self, group: str) -> None:
        """Ask for the group's name, and delete it."""
        if self.changes is None:
            self.say("Read-only: `rota top --allow-changes` may delete groups.")
        else:
            self.go(ChangeScreen(self.changes, group, None))

    def reset(self, group: str, partition: TopicPartition | None) -> None:
        """Ask where to, show what that means, ask for the group's name, and do it."""
        if self.changes is None:
            self.say("Read-only: `rota top --allow-changes` may reset offsets.")
        else:
            self.go(ChangeScreen(self.changes, group, () if partition is None else (partition,)))

    def changed(self, page: ChangeScreen, done: Done, gone: str | None) -> None:
        """Something was done: leave what asked for it, and a group that is gone; say so, and look again at once."""
        while page in self.screen_stack:
            self.pop_screen()
        if gone is not None and getattr(self.screen, "group", None) == gone:
            self.pop_screen()
        self.source.refresh()
        if done.undo or done.failed:
            self.show_changes()
        else:
            self.say(done.words)

    def show_changes(self) -> None:
        """What was changed since the start, and how to take it back."""
        if self.changes is None or not self.changes.made:
            self.say("Nothing was changed.")
        else:
            made = self.changes.made
            self.go(TextScreen("changes", lambda: change_lines(made)))
