"""Fixtures for tests that need a broker: the same test on Rota's and on real Apache Kafka 4.1.

`pytest --broker=rota` or `--broker=kafka` runs one side only. Without Java or Maven the Kafka side is
skipped, without Go what franz-go does, and without PostgreSQL what needs a database, except where CI=true: there
they fail, so that nobody mistakes half a conformance suite for a whole one.
"""

import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from uuid import uuid4

import pytest
from confluent_kafka.admin import AdminClient

sys.path.insert(0, str(Path(__file__).parents[1]))  # for `tests.…` whichever way pytest was started

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.brokers import BrokerUnderTest
    from tests.clients.desk import Desk

BROKERS = ("rota", "kafka")
CRASHES = 75


def _end_elsewhere(client: object) -> None:
    """librdkafka may wait for ever for the end of an admin client's threads once a broker that it asked has gone."""
    if sys.is_finalizing():  # a thread that begins now never runs
        return
    last = [client]
    end = threading.Timer(1.0, last.clear)  # by then nobody else has it
    end.daemon = True
    with suppress(RuntimeError):
        end.start()


AdminClient.__del__ = _end_elsewhere  # type: ignore[attr-defined]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--broker", choices=(*BROKERS, "all"), default="all", help="which broker to run broker tests on"
    )
    parser.addoption(
        "--crashes",
        type=int,
        default=CRASHES,
        help=f"how often a test of power cuts does so (default: {CRASHES}); those of kill -9 kill in proportion",
    )


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # Started in the background by a shell: commands that are to be stopped by Ctrl+C would inherit that.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # kafka-python reads its schemas in a way that newer Pythons dislike.
    config.addinivalue_line("filterwarnings", "ignore:(read|open)_text is deprecated:DeprecationWarning")
    config.addinivalue_line(
        "markers",
        "difference(words): Rota's broker differs from Apache Kafka here; the README says so in these words",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is marked as a difference must fail on Rota's broker, and pass on Kafka's."""
    for item in items:
        mark = item.get_closest_marker("difference")
        callspec = getattr(item, "callspec", None)
        if mark is not None and callspec is not None and callspec.params.get("broker_kind") == "rota":
            item.add_marker(pytest.mark.xfail(strict=True, reason=mark.args[0], raises=AssertionError))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "broker_kind" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--broker")
        kinds = BROKERS if chosen == "all" else (chosen,)
        metafunc.parametrize("broker_kind", kinds, scope="session", indirect=True)


@pytest.fixture
def crashes(pytestconfig: pytest.Config) -> int:
    """How often to cut the power."""
    number: int = pytestconfig.getoption("crashes")
    return number


@pytest.fixture
def kills(crashes: int) -> "Callable[[int], int]":
    """How often to kill where a run without --crashes does it so often."""
    return lambda usually: max(1, usually * crashes // CRASHES)


@pytest.fixture(scope="session")
def broker_kind(request: pytest.FixtureRequest) -> str:
    """rota or kafka."""
    kind: str = request.param
    if kind == "kafka":
        need_kafka()
    return kind


@pytest.fixture(scope="session")
def kafka_jars() -> Path:
    """The directory of Apache Kafka's jars, for tests that run its tools."""
    return need_kafka()


@pytest.fixture(scope="session")
def franz_go() -> Path:
    """The Go program that puts franz-go behind the tests; without Go skipped (failed where CI=true)."""
    from tests.go.program import GoMissingError
    from tests.go.program import franz_go as program

    try:
        return program()
    except GoMissingError as missing:
        skip_or_fail(missing)


@pytest.fixture(scope="session")
def postgres() -> "Iterator[str]":
    """The address of a PostgreSQL server of the tests' own; without one skipped (failed where CI=true)."""
    from tests.postgres import Postgres, PostgresMissingError

    try:
        server = Postgres()
    except PostgresMissingError as missing:
        skip_or_fail(missing)
    with server:
        yield server.address


@pytest.fixture
def postgres_database(postgres: str) -> "Iterator[str]":
    """The address of an empty database on that server."""
    import psycopg

    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield postgres.removesuffix("postgres") + name
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def broker(broker_kind: str) -> "Iterator[BrokerUnderTest]":
    """A broker that all tests share; use your own topic and group names."""
    from tests.brokers import new_broker

    with new_broker(broker_kind) as running:
        yield running


@pytest.fixture
def own_broker(broker_kind: str, tmp_path: Path) -> "Iterator[BrokerUnderTest]":
    """A broker for one test, with a data directory, which may be stopped, killed and started again."""
    from tests.brokers import new_broker

    with new_broker(broker_kind, data_dir=tmp_path / "broker") as running:
        yield running


@pytest.fixture
def desk(broker: "BrokerUnderTest") -> "Iterator[Desk]":
    """Topics, members and views of groups on the shared broker; cleans up after the test."""
    from tests.clients.desk import Desk

    with Desk(broker) as table:
        yield table


def need_kafka() -> Path:
    """Apache Kafka's jars, or a skipped test (failed where CI=true)."""
    from tests.kafka.jars import KafkaMissingError, jars

    try:
        return jars()
    except KafkaMissingError as missing:
        skip_or_fail(missing)


def skip_or_fail(missing: Exception) -> NoReturn:
    """What a test needs is not on this machine."""
    if os.environ.get("CI") == "true":
        pytest.fail(str(missing), pytrace=False)
    pytest.skip(str(missing))
