"""The ledger: claims, their ends, and what becomes of those of which nobody knows."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.kafka.ports import wait_until

from rota.consumer.core.later import RetryLaterError
from rota.consumer.effects.databases import dialect_of
from rota.consumer.effects.ledger_rules import Row, judge
from rota.consumer.ledger import AsyncLedger, ClaimLostError, Ledger
from rota.model import RotaError


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "ledger.db")
    address: str = request.getfixturevalue("postgres_database")
    return address


@pytest.fixture
def ledger(database: str) -> Iterator[Callable[..., Ledger]]:
    """Makes ledgers on one database: each is another process, as far as it knows."""
    made: list[Ledger] = []

    def make(**options: Any) -> Ledger:
        chosen: dict[str, Any] = {"lease_s": 600.0, "ambiguous": "repeat"} | options
        made.append(Ledger(database, **chosen))
        return made[-1]

    yield make
    for one in made:
        one.close()


def fail_halfway(
    ledger: Ledger, key: str, error: BaseException | None = None, *, release: bool = False
) -> None:
    """An effect that begins, and then its handler raises."""
    error = error or OSError("half of it")

    def handle() -> None:
        with ledger.once(key) as claim:
            assert claim
            if release:
                claim.release()
            raise error

    with pytest.raises(type(error)):
        handle()


def leave_open(ledger: Ledger, key: str) -> None:
    """Claim a key as a process does that is killed before the end."""
    assert ledger.once(key).__enter__()


def take_when_free(ledger: Ledger, key: str) -> Any:
    """The claim of a key, as soon as the lease of another is over."""
    taken: list[Any] = []

    def taken_now() -> bool:
        try:
            taken.append((once := ledger.once(key)).__enter__())
            taken.append(once)
        except RetryLaterError:
            return False
        return True

    wait_until("the lease is over", taken_now)
    return taken


def test_what_was_done_is_not_done_again(ledger: Callable[..., Ledger]) -> None:
    happened = []
    for one in (ledger(), ledger()):
        for _ in range(2):
            with one.once("invoice 7") as claim:
                if claim:
                    happened.append("invoice 7")
    assert happened == ["invoice 7"]


def test_keys_are_apart(ledger: Callable[..., Ledger]) -> None:
    one = ledger()
    for key in ("a", "b", "it's 100 % ? of {now}"):
        with one.once(key) as claim:
            assert claim
        with one.once(key) as claim:
            assert not claim


def test_a_claim_that_lives_keeps_others_away(ledger: Callable[..., Ledger]) -> None:
    leave_open(ledger(), "a")
    with pytest.raises(RetryLaterError, match="somebody else is at 'a'") as caught:
        ledger().once("a").__enter__()
    assert 0 < caught.value.wait_s <= 1


def test_one_process_does_not_do_it_twice_at_once(ledger: Callable[..., Ledger]) -> None:
    one = ledger(lease_s=0.001)
    leave_open(one, "a")
    with pytest.raises(RetryLaterError, match="somebody else"):
        one.once("a").__enter__()


def test_repeat_does_it_again_when_the_lease_is_over(ledger: Callable[..., Ledger]) -> None:
    leave_open(ledger(lease_s=0.001), "a")
    claim, once = take_when_free(ledger(), "a")
    assert claim
    assert claim.again
    assert claim.token == 2
    once.__exit__(None, None, None)
    with ledger().once("a") as claim:
        assert not claim


def test_skip_lists_it_for_a_person(ledger: Callable[..., Ledger]) -> None:
    first = ledger(lease_s=0.001)
    first.once("a", note="to ann@example.org").__enter__()
    one = ledger(ambiguous="skip")
    claim, once = take_when_free(one, "a")
    assert not claim
    once.__exit__(None, None, None)
    [listed] = one.ambiguous()
    assert (listed.key, listed.note) == ("a", "to ann@example.org")
    assert listed.since_ms > 1_600_000_000_000
    assert str(listed.owner).split()[1].isdigit()
    with one.once("a") as claim:
        assert not claim  # as often as the record comes


@pytest.mark.parametrize("happened", [True, False])
def test_a_person_settles_it(ledger: Callable[..., Ledger], happened: bool) -> None:
    one = ledger(ambiguous="skip")
    fail_halfway(one, "a")
    assert one.settle("a", happened=happened)
    assert not one.settle("a", happened=happened)
    assert one.ambiguous() == []
    with one.once("a") as claim:
        assert bool(claim) is not happened


@pytest.mark.parametrize("happened", [True, False])
def test_verify_asks_the_other_side(ledger: Callable[..., Ledger], happened: bool) -> None:
    leave_open(ledger(lease_s=0.001), "a")
    asked: list[str] = []

    def verify(key: str) -> bool:
        asked.append(key)
        return happened

    claim, once = take_when_free(ledger(ambiguous="verify", verify=verify), "a")
    assert asked == ["a"]
    assert bool(claim) is not happened
    assert not claim.again
    once.__exit__(None, None, None)
    with ledger().once("a") as claim:
        assert not claim


def test_verify_that_fails_leaves_it_ambiguous(ledger: Callable[..., Ledger]) -> None:
    one = ledger(ambiguous="verify")
    answers: list[Any] = [ConnectionError("the other side is away"), None, True]

    def verify(_key: str) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    fail_halfway(ledger(), "a")
    with pytest.raises(ConnectionError, match="away"):
        one.once("a", verify=verify).__enter__()
    with pytest.raises(RotaError, match="must say True or False"):
        one.once("a", verify=verify).__enter__()
    assert [listed.key for listed in one.ambiguous()] == ["a"]
    with one.once("a", verify=verify) as claim:
        assert not claim
    assert one.ambiguous() == []


def test_an_error_in_the_middle_is_ambiguous_at_once(ledger: Callable[..., Ledger]) -> None:
    one = ledger()
    fail_halfway(one, "a")
    with ledger().once("a") as claim:
        assert claim
        assert claim.again


def test_what_certainly_did_not_happen_is_free_at_once(ledger: Callable[..., Ledger]) -> None:
    one = ledger(ambiguous="skip", undone=(ConnectionRefusedError,))
    fail_halfway(one, "a", ConnectionRefusedError())
    fail_halfway(one, "a", OSError("busy"), release=True)
    with one.once("a") as claim:
        assert claim
        assert not claim.again
        assert claim.token == 3


def test_an_owner_who_is_late_learns_it(ledger: Callable[..., Ledger]) -> None:
    late = ledger(lease_s=0.001)
    once = late.once("a")
    claim = once.__enter__()
    assert claim
    claim.renew()  # nobody has taken it yet
    taken, other = take_when_free(ledger(), "a")
    assert taken
    with pytest.raises(ClaimLostError, match="somebody else's"):
        claim.renew()
    with pytest.raises(ClaimLostError):
        once.__exit__(None, None, None)
    other.__exit__(None, None, None)
    with late.once("a") as claim:
        assert not claim


def test_who_is_late_and_was_skipped_says_that_it_happened(ledger: Callable[..., Ledger]) -> None:
    once = ledger(lease_s=0.001).once("a")
    assert once.__enter__()
    one = ledger(ambiguous="skip")
    taken, other = take_when_free(one, "a")
    assert not taken
    other.__exit__(None, None, None)
    once.__exit__(None, None, None)
    assert one.ambiguous() == []


def test_a_block_that_does_not_ask_is_a_mistake(ledger: Callable[..., Ledger]) -> None:
    with pytest.raises(RotaError, match="did not ask `if claim:`"), ledger().once("a"):
        pass


def test_old_rows_are_forgotten(ledger: Callable[..., Ledger]) -> None:
    one = ledger()
    for key in ("a", "b"):
        with one.once(key) as claim:
            assert claim
    fail_halfway(one, "c")
    assert one.prune(older_s=3600) == 0
    forgotten = 0
    while forgotten < 2:  # what ended in this very millisecond is not old yet
        forgotten += one.prune(older_s=0)
    assert [listed.key for listed in one.ambiguous()] == ["c"]


async def cancelled(once: Any) -> None:
    """A handler that is cancelled in the middle of its effect."""
    async with once as claim:
        assert claim
        raise asyncio.CancelledError


def test_event_loops_use_it_too(ledger: Callable[..., Ledger]) -> None:
    async def verify(_key: str) -> bool:
        await asyncio.sleep(0)
        return True

    async def story() -> list[bool]:
        one = ledger(ambiguous="verify", verify=verify)
        seen = []
        for _ in range(2):
            async with one.once("a") as claim:
                seen.append(bool(claim))
        with pytest.raises(asyncio.CancelledError):
            await cancelled(one.once("b"))
        async with one.once("b") as claim:
            seen.append(bool(claim))
        return seen

    assert asyncio.run(story()) == [True, False, False]


def test_a_verify_that_is_asynchronous_needs_an_event_loop(ledger: Callable[..., Ledger]) -> None:
    async def verify(_key: str) -> bool:
        raise AssertionError("never awaited")

    one = ledger(ambiguous="verify", verify=verify)
    fail_halfway(one, "a")
    with pytest.warns(RuntimeWarning), pytest.raises(RotaError, match="async with"):
        one.once("a").__enter__()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"lease_s": 0}, "lease_s is 0"),
        ({"lease_s": 0.0001}, "lease_s is 0.0001"),
        ({"lease_s": float("nan")}, "lease_s is nan"),
        ({"lease_s": float("inf")}, "lease_s is inf"),
        ({"lease_s": 1e300}, r"lease_s is 1e\+300"),
        ({"lease_s": "60"}, "lease_s is '60'"),
        ({"lease_s": True}, "lease_s is True"),
        ({"ambiguous": "perhaps"}, "'perhaps'"),
        ({"verify": bool}, "verify is never asked"),
        ({"table": "rota; drop"}, "cannot be the name of a table"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    chosen: dict[str, Any] = {"lease_s": 1.0, "ambiguous": "repeat"} | options
    with pytest.raises(RotaError, match=said):
        Ledger(str(tmp_path / "x"), **chosen)


@pytest.mark.parametrize("older_s", [float("nan"), float("-inf"), -1, 1e300, "60", None])
def test_an_age_is_a_number(tmp_path: Path, older_s: Any) -> None:
    one = Ledger(tmp_path / "x", lease_s=1, ambiguous="skip")
    with pytest.raises(RotaError, match=r"older_s is .*; it must be") as caught:
        one.prune(older_s)
    assert "\n" not in str(caught.value)


_FORKING = """
import os, sqlite3, sys
from rota.consumer.core.later import RetryLaterError
from rota.consumer.ledger import Ledger

def claimed_in_a_fork(ledger):
    pid = os.fork()
    if pid == 0:
        try:
            taken = ledger.once("a").__enter__()
            os.write(1, b"taken " if taken else b"not taken ")
        except RetryLaterError:
            os.write(1, b"held ")
        os._exit(0)  # and leaves it open
    os.waitpid(pid, 0)

prefork = Ledger(sys.argv[1], lease_s=600, ambiguous="repeat")
claimed_in_a_fork(prefork)
claimed_in_a_fork(prefork)
short = Ledger(sys.argv[2], lease_s=600, ambiguous="repeat")
assert short.once("a").__enter__()
sqlite3.connect(sys.argv[2], isolation_level=None).execute("UPDATE rota_ledger SET lease_ends_ms = 0")
claimed_in_a_fork(short)
"""


def test_forked_processes_are_told_apart(tmp_path: Path) -> None:
    """Servers that fork their workers when the ledger is made: a sibling's claim is held, and a key that the parent
    is at, whose lease is over, is not busy in the child.
    """
    command = [sys.executable, "-c", _FORKING, str(tmp_path / "a.db"), str(tmp_path / "b.db")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "taken held taken "


def test_verify_needs_a_function(tmp_path: Path) -> None:
    with pytest.raises(RotaError, match="needs a function"):
        Ledger(tmp_path / "x", lease_s=1, ambiguous="verify").once("a")
    with pytest.raises(RotaError, match="is no database"):
        Ledger(7, lease_s=1, ambiguous="skip")


def test_tables_can_be_made_by_others(tmp_path: Path) -> None:
    path = tmp_path / "own.db"
    one = Ledger(path, lease_s=1, ambiguous="skip", table="mails", create=False)
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        one.once("a").__enter__()
    connection = sqlite3.connect(path)
    connection.execute(Ledger.schema("sqlite", "mails"))
    with one.once("a") as claim:
        assert claim
    one.close()
    assert connection.execute("SELECT state FROM mails").fetchall() == [("done",)]
    connection.close()


def test_an_end_that_could_not_be_written_is_written_later(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    mine = sqlite3.connect(path, timeout=0, isolation_level=None)
    other = sqlite3.connect(path, timeout=0, isolation_level=None)
    one = Ledger(mine, lease_s=600, ambiguous="skip")
    once = one.once("a")
    assert once.__enter__()
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        once.__exit__(None, None, None)
    other.execute("ROLLBACK")
    with one.once("a") as claim:
        assert not claim
    assert one.ambiguous() == []
    for connection in (mine, other):
        connection.close()


def test_a_connection_in_a_transaction_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        one = Ledger(connection, lease_s=600, ambiguous="skip")
        with one.once("a") as claim:  # sqlite3's default: transactions begin by themselves
            assert claim
        connection.execute("UPDATE rota_ledger SET note = 'x'")
        with pytest.raises(RotaError, match="in a transaction already"):
            one.once("b").__enter__()
    connection.close()


def test_a_connection_that_broke_is_made_again(postgres_database: str) -> None:
    import psycopg

    one = Ledger(postgres_database, lease_s=600, ambiguous="skip")
    with one.once("a") as claim:
        assert claim
        with psycopg.connect(postgres_database, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
    with one.once("a") as claim:
        assert not claim
    one.close()


def test_pools_and_connections_of_psycopg(postgres_database: str) -> None:
    import psycopg
    from psycopg_pool import ConnectionPool

    happened = []
    with (
        ConnectionPool(postgres_database, min_size=1) as pool,
        psycopg.connect(postgres_database) as plain,
        psycopg.connect(postgres_database, autocommit=True) as committing,
    ):
        for database in (pool, plain, committing):
            assert dialect_of(database) == "postgresql"
            with Ledger(database, lease_s=600, ambiguous="skip").once("a") as claim:
                if claim:
                    happened.append(database)
    assert len(happened) == 1


def test_asynchronous_pools_and_connections(postgres_database: str) -> None:
    import psycopg
    from psycopg_pool import AsyncConnectionPool

    async def story() -> None:
        happened = []
        plain = await psycopg.AsyncConnection.connect(postgres_database)
        async with AsyncConnectionPool(postgres_database, min_size=1, open=False) as pool, plain:
            for database in (pool, plain):
                one = AsyncLedger(database, lease_s=600, ambiguous="skip")
                async with one.once("a") as claim:
                    if claim:
                        await claim.renew()
                        happened.append(database)
                with pytest.raises(asyncio.CancelledError):
                    await cancelled(one.once(f"{type(database)}"))
            assert [listed.key for listed in await one.ambiguous()] == [str(type(pool)), str(type(plain))]
            assert await one.settle(str(type(pool)), happened=True)
            forgotten = 0
            while forgotten < 2:  # what ended in this very millisecond is not old yet
                forgotten += await one.prune(older_s=0)
            with pytest.raises(RotaError, match="AsyncLedger"):
                Ledger(pool, lease_s=1, ambiguous="skip")
        with pytest.raises(RotaError, match="use Ledger"):
            AsyncLedger("a.db", lease_s=1, ambiguous="skip")
        assert len(happened) == 1

    asyncio.run(story())


@pytest.mark.parametrize(
    ("state", "owner", "now", "finished", "verdict"),
    [
        ("done", "me", 5, False, "done"),
        ("free", "other", 5, False, "take"),
        ("ambiguous", "other", 5, False, "ambiguous"),
        ("claimed", "other", 9, False, "held"),
        ("claimed", "other", 10, False, "ambiguous"),
        ("claimed", "me", 5, False, "ambiguous"),
        ("claimed", "me", 5, True, "finish"),
        ("claimed", "me", 20, True, "finish"),
    ],
)
def test_what_a_row_means(state: Any, owner: str, now: int, finished: bool, verdict: str) -> None:
    assert judge(Row(state, owner, 1, 10, now), "me", finished=finished) == verdict
