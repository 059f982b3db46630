"""The course of events: pods 1, then 5; one is killed with -9, one is frozen; then 2."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from random import Random
from typing import TYPE_CHECKING, Any

from confluent_kafka import Producer
from examples.children import Child, now_ms
from examples.cleaning import remove
from examples.notifications.account import Accident, Account, Notifications
from examples.notifications.mail import accepted_mails, message_id
from examples.paper import Paper

from rota.cluster import Cluster
from rota.model import TopicPartition, count_of, number_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["PARTITIONS", "Settings", "play"]

PARTITIONS = 10
MOST_PODS = 5
PODS_LEFT = 2
CUSTOMERS = 200
MOST_OPEN = 300
"""The shop asks for no more while so many have not been sent: what is left at the end is sent in reasonable time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Times are seconds; ``ledger`` None: an SQLite file of its own."""

    bootstrap: str
    topic: str
    email_s: float = 0.5
    rate: float = 15.0
    """Notifications asked for, a second: twice what one pod can send, half of what five can."""
    session_s: float = 6.0
    ledger: str | None = None
    seed: int = 0
    clean: bool = False
    """Whether topic and group are deleted at the end."""
    patience_s: float = 120.0
    """How long something that must happen is waited for."""

    @property
    def lease_s(self) -> float:
        """What a claim is worth: longer than a connection to the mail server lives that says nothing, and an
        e-mail on it takes, by as much as a busy machine may hold up the mail server.
        """
        return self.idle_s + 2 * self.email_s + 5

    @property
    def idle_s(self) -> float:
        """When the mail server hangs up; longer than an e-mail takes."""
        return max(1.0, 4 * self.email_s)


def play(settings: Settings) -> tuple[Account, Paper]:
    """Run it, and tell what happens while it happens."""
    print(f"Who is killed and frozen, and when: --seed {settings.seed} chooses the same again", flush=True)
    with tempfile.TemporaryDirectory(prefix="rota-notifications-") as folder:
        scene = _Scene(settings, Path(folder))
        try:
            scene.run()
        finally:
            scene.close()
            if settings.clean:
                remove(settings.bootstrap, settings.topic, settings.session_s)
        return Account(scene.story, accepted_mails(scene.mailbox)), scene.paper


@dataclass
class _Scene:
    settings: Settings
    folder: Path
    story: Notifications = field(default_factory=Notifications)
    pods: dict[str, Child] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.paper = Paper(now_ms())
        self.mailbox = self.folder / "mailbox"
        self._heard: SimpleQueue[tuple[str, dict[str, Any]]] = SimpleQueue()
        self._random = Random(self.settings.seed)  # chooses whom and when
        self._accepted: set[str] = set()
        self._mail_server: Child | None = None
        self._mail_port = 0
        self._everyone: list[Child] = []
        self._asking: _Asking | None = None

    # The course of events

    def run(self) -> None:
        settings = self.settings
        self._mail_server = Child(
            "mail server",
            "examples.notifications.mail_server",
            [
                "--mailbox",
                str(self.mailbox),
                "--takes",
                f"{settings.email_s:g}",
                "--idle",
                f"{settings.idle_s:g}",
            ],
            self.folder / "mail-server.log",
            self._hear,
        )
        self._everyone.append(self._mail_server)
        self._until("the mail server listens", lambda: self._mail_port)
        cluster = Cluster(settings.bootstrap)
        cluster.create_topic(settings.topic, partitions=PARTITIONS)
        self._asking = _Asking(settings, lambda: len(self._accepted))
        self._say(
            f"{settings.rate:g} notifications a second are asked for; an e-mail takes {settings.email_s * 1000:g} ms"
        )
        self._scale_up(1)
        self._until("the first pod sends", lambda: len(self._accepted) >= 2 * MOST_PODS)
        self._scale_up(MOST_PODS)
        self._until("every pod sends", lambda: all(self.story.sent[name] for name in self.pods))
        self._kill()
        self._freeze()
        self._scale_down()
        self._asking.stop()
        self.story.asked_for = self._asking.acknowledged()
        self._say(f"{len(self.story.asked_for)} were asked for, and no more are")
        self._until("all are accepted", lambda: len(self._accepted) >= len(self.story.asked_for))
        self._until("all is committed", lambda: self._all_committed(cluster))
        cluster.close()
        self._stop(list(self.pods))
        self._say("The end")
        self.paper.show()

    def close(self) -> None:
        """Nothing goes on after it."""
        if self._asking is not None:
            self._asking.stop()
        for child in self._everyone:
            child.end()

    def _scale_up(self, count: int) -> None:
        new = [f"pod-{number}" for number in range(1, count + 1) if f"pod-{number}" not in self.pods]
        self._say(f"SCALE UP to {count_of(count, 'pod')}: {', '.join(new)}")
        for name in new:
            self._start(name)

    def _kill(self) -> None:
        """kill -9, at a random moment of the e-mails that one is sending."""
        name = self._random.choice(sorted(self.pods))
        self._in_the_middle(name)
        self.pods.pop(name).kill()
        at_ms = now_ms()
        self._listen()  # to its last words
        happened = self.story.accident(name, "kill", at_ms)
        self._say(f"KILL -9: {name}, {_busy(happened)}")
        self._until("others have its partitions", lambda: self._all_read(but=""))
        self._say(f"Others read the partitions of {name}")

    def _freeze(self) -> None:
        """SIGSTOP likewise, for longer than the group waits; then SIGCONT."""
        name = self._random.choice(sorted(self.pods))
        self._in_the_middle(name)
        self.pods[name].freeze()
        happened = self.story.accident(name, "freeze", now_ms())
        self._say(f"FREEZE (SIGSTOP): {name}, {_busy(happened)}")
        self._until("others have its partitions", lambda: self._all_read(but=name))
        self._let_them_send(name)
        happened.until_ms = now_ms()
        self._say(f"THAW (SIGCONT): {name}, whose partitions others read by now")
        self.pods[name].thaw()
        before = self.story.sent[name]
        self._until(
            "it is back in the group", lambda: self.story.sent[name] > before + len(happened.under_way)
        )

    def _let_them_send(self, frozen: str) -> None:
        """A moment without it. One that was frozen inside a write into SQLite holds up everybody else's."""
        before, until = sum(self.story.sent.values()), time.monotonic() + self.settings.session_s
        self._until(
            "they send",
            lambda: sum(self.story.sent.values()) > before + PARTITIONS or time.monotonic() > until,
        )
        if sum(self.story.sent.values()) == before:
            self._say(f"Nobody can send: {frozen} was frozen while it wrote into the ledger")

    def _scale_down(self) -> None:
        leaving = self._random.sample(sorted(self.pods), len(self.pods) - PODS_LEFT)
        self._say(f"SCALE DOWN to {PODS_LEFT} pods: {' and '.join(leaving)} are asked to stop (SIGTERM)")
        self._stop(leaving)

    def _stop(self, names: list[str]) -> None:
        going = [self.pods.pop(name) for name in names]
        for child in going:
            child.ask_to_end()
        self._until("they end", lambda: not any(child.running for child in going))

    # What it is made of

    def _in_the_middle(self, name: str) -> None:
        """Until the pod is sending, a random time after it was."""
        while True:
            self._until(f"{name} sends", lambda: self.story.sending.get(name))
            time.sleep(self._random.uniform(0, 1.2 * self.settings.email_s))
            self._listen()
            if self.story.sending.get(name):
                return

    def _start(self, name: str) -> None:
        settings = self.settings
        ledger = settings.ledger or str(self.folder / "ledger.db")
        arguments = ["--name", name, "--bootstrap", settings.bootstrap, "--topic", settings.topic]
        arguments += [
            "--session-ms",
            str(int(settings.session_s * 1000)),
            "--mail-port",
            str(self._mail_port),
        ]
        arguments += ["--mailbox", str(self.mailbox), "--ledger", ledger, "--lease", f"{settings.lease_s:g}"]
        log = self.folder / f"{name}.log"
        self.pods[name] = Child(name, "examples.notifications.pod", arguments, log, self._hear)
        self._everyone.append(self.pods[name])

    def _all_read(self, but: str) -> bool:
        """Whether every partition is read by somebody else."""
        read = {
            partition
            for name in self.pods
            if name != but
            for partition in self.story.partitions.get(name, ())
        }
        return len(read) == PARTITIONS

    def _all_committed(self, cluster: Cluster) -> bool:
        partitions = [TopicPartition(self.settings.topic, number) for number in range(PARTITIONS)]
        committed = cluster.committed_offsets(self.settings.topic)
        ends = cluster.end_offsets(partitions)
        return all(
            not ends[partition] or (partition in committed and committed[partition].offset == ends[partition])
            for partition in partitions
        )

    def _say(self, text: str) -> None:
        self.paper.note(now_ms(), text, "bold")

    def _until(self, what: str, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + self.settings.patience_s
        while not condition():
            if time.monotonic() > deadline:
                waited = f"after {self.settings.patience_s:g} s still waiting: {what}"
                raise TimeoutError("\n".join([waited, *self._how_things_are()]))
            for child in self._everyone:
                child.check()
            self._listen(0.1)
            self.paper.show(now_ms())

    def _how_things_are(self) -> list[str]:
        """For whoever must find out why something does not happen."""
        missing = [which for which in self.story.asked_for if message_id(which) not in self._accepted]
        found = (
            [f"not accepted: {len(missing)}, the first of them {', '.join(missing[:5])}"] if missing else []
        )
        cluster = Cluster(self.settings.bootstrap)
        partitions = [TopicPartition(self.settings.topic, number) for number in range(PARTITIONS)]
        committed, ends = cluster.committed_offsets(self.settings.topic), cluster.end_offsets(partitions)
        found += [
            f"{partition}: committed {committed.get(partition)}, ends at {ends[partition]}"
            for partition in partitions
        ]
        for log in sorted(self.folder.glob("*.log")):
            lines = [line for line in log.read_text(errors="replace").splitlines() if ":slow: " not in line]
            found += [f"{log.stem}: {line}" for line in lines[-10:]]
        return found

    def _hear(self, name: str, words: dict[str, Any]) -> None:
        self._heard.put((name, words))

    def _listen(self, seconds: float = 0) -> None:
        """Take in what was said; wait for it so long."""
        try:
            while True:
                self._take(*(self._heard.get(timeout=seconds) if seconds else self._heard.get_nowait()))
                seconds = 0
        except Empty:
            pass

    def _take(self, name: str, words: Mapping[str, Any]) -> None:
        if words["what"] == "ready":
            self._mail_port = int(words["port"])
        elif words["what"] == "accepted":
            self._accepted.add(str(words["message_id"]))
        else:
            self.story.hear(name, words)
            self._tell(name, words)

    def _tell(self, name: str, words: Mapping[str, Any]) -> None:
        at_ms = int(words["at_ms"])
        if words["what"] == "assigned" and words["partitions"]:
            self.paper.note(at_ms, f"{name} is given {_numbers(words['partitions'])}", "yellow")
        elif words["what"] == "revoked" and words["partitions"]:
            self.paper.note(at_ms, f"{name} gives up {_numbers(words['partitions'])}", "yellow")
        elif words["what"] == "done already":
            self.paper.note(
                at_ms, f"{name} is handed {words['id']}, which was sent already: not sent again", "cyan"
            )
        elif words["what"] == "lost" and words["partitions"]:
            self.paper.note(
                at_ms, f"{name} learns that it has lost {_numbers(words['partitions'])}", "yellow"
            )
        elif words["what"] == "asked":
            answer = "it is there: not sent again" if words["accepted"] else "it is not there: sent now"
            self.paper.note(
                at_ms,
                f"{name} finds an open claim of {words['id']}, and asks the mail server: {answer}",
                "cyan",
            )


class _Asking:
    """The shop: it asks for notifications at a steady rate, in a thread."""

    def __init__(self, settings: Settings, accepted: Callable[[], int]) -> None:
        self._settings = settings
        self._accepted = accepted
        self._acknowledged: list[str] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="the shop", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask for no more; returns when all were acknowledged."""
        self._stopping.set()
        self._thread.join()

    def acknowledged(self) -> list[str]:
        """What was asked for."""
        return list(self._acknowledged)

    def _run(self) -> None:
        producer = Producer(
            {"bootstrap.servers": self._settings.bootstrap, "enable.idempotence": True, "linger.ms": 5}
        )
        due, number, last = 0.0, 0, time.monotonic()
        while not self._stopping.is_set():
            now = time.monotonic()
            due, last = due + (now - last) * self._settings.rate, now
            due = min(due, self._accepted() + MOST_OPEN)
            while number < int(due):
                number += 1
                self._ask(producer, number)
            producer.poll(0.02)
        assert producer.flush(self._settings.patience_s) == 0, "Kafka did not take every notification"

    def _ask(self, producer: Producer, number: int) -> None:
        which, customer = f"n-{number:05}", f"customer-{number % CUSTOMERS}"

        def delivered(error: object, _message: object) -> None:
            if error is None:
                self._acknowledged.append(which)

        value = json.dumps({"id": which, "customer": customer})
        producer.produce(self._settings.topic, value, customer, on_delivery=delivered)


def _busy(happened: Accident) -> str:
    return f"with {count_of(len(happened.under_way), 'e-mail')} under way; it read {_numbers(happened.held)}"


def _numbers(partitions: list[int]) -> str:
    if not partitions:
        return "no partition"
    return f"partition{'s' if len(partitions) > 1 else ''} {', '.join(number_runs(partitions))}"
