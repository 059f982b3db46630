"""What needs no broker: help, wrong usage, unreachable brokers, what is imported."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from tests.cli.command import Command

from rota.cli.root import COMMANDS, root

LEAVES = (
    "broker",
    "topics create",
    "topics list",
    "topics describe",
    "topics delete",
    "topics add-partitions",
    "produce",
    "consume",
    "groups list",
    "groups describe",
    "groups reset-offsets",
    "groups delete",
    "groups delete-offsets",
    "groups remove-members",
    "groups validate-regex",
    "plan",
    "completion",
)

USAGE = {
    "frobnicate": "no command 'frobnicate': the commands are",
    "topcs": "no command 'topcs': did you mean topics?",
    "topics creat": "no command 'creat': did you mean create?",
    "topics create": "missing argument 'TOPIC'",
    "topics create t --partitions 0": "0 is not in the range 1<=x<=100000",
    "topics create t -p 1000000": "1000000 is not in the range 1<=x<=100000",
    "topics create t -p 99999999999": "99999999999 is not in the range 1<=x<=100000",
    "topics create t -r 1000000": "1000000 is not in the range 1<=x<=10000",
    "topics add-partitions t --to 1000000": "1000000 is not in the range 1<=x<=100000",
    "topics create t --config cleanup.policy": "--config wants name=value, not 'cleanup.policy'",
    "topics create t --colour red": "no such option '--colour'",
    "topics delete": "missing argument 'TOPIC...'",
    "topics add-partitions t": "missing option '--to'",
    "produce t --events --file x": "--events makes its own records",
    "produce t --key-separator=": "--key-separator wants at least one character",
    "produce t --rate -1": "-1.0 is not in the range x>=0",
    "produce t --rate nan": "'nan' is not a finite number",
    "produce t --duration inf": "'inf' is not a finite number",
    "groups describe g --watch nan": "'nan' is not a finite number",
    "groups describe g --watch 1e12": "1000000000000.0 is not in the range 0.1<=x<=86400",
    "produce t --property nonsense": "--property wants name=value",
    "consume": "missing argument 'TOPIC...'",
    "consume t --format {colour}": "--format knows no {colour}: the fields are {topic}, {partition}",
    "consume t --format {key": "--format: expected '}'",
    "consume t --format {key:d}": "--format: Unknown format code 'd'",
    "consume t --format {offset:99999999999}": "--format: {offset:99999999999} is too wide: at most 1,000",
    "consume t --format {key:.99999}": "--format: {key:.99999} is too wide: at most 1,000",
    "consume t --format {key:{value}}": "--format: {key:{value}}: no field within a field",
    "consume t --format {offset:c}": "--format: ",
    "consume t --auto-commit-interval-ms 99999999999": "99999999999 is not in the range 1<=x<=86400000",
    "consume t --group g --instance-id=": "--instance-id wants a name, not ''",
    "consume t --json --format {key}": "--json and --format exclude each other",
    "consume t --json --print-key": "--print-… belongs to the plain layout",
    "consume t --decode-offsets --format {key}": "--decode-offsets prints JSON lines of its own",
    "produce t --file /nowhere/users.txt": "cannot read /nowhere/users.txt: No such file or directory",
    "produce t --file /": "cannot read /: Is a directory",
    "consume t --commit manual": "give --group too",
    "consume t --commit never": "'never' is not one of 'auto', 'manual'",
    "consume t --group=": "--group wants a name, not ''",
    "consume t --group g --property group.id=h": "the group is said by --group h, not by --property",
    "consume ^t": "a pattern (^…) needs --group",
    "groups list --state sleepy": "no state sleepy: the states are PreparingRebalance",
    "groups list --type share": "no type share: the types are Classic, Consumer",
    "groups describe": "name the groups to describe, or give --all",
    "groups describe g --all": "name the groups to describe, or give --all",
    "groups describe g --members --state": "--offsets, --members and --state exclude each other",
    "groups describe g --csv --json": "--csv goes neither with --json nor with --watch",
    "groups list --csv --json": "--csv and --json exclude each other",
    "groups list --timeout 0": "0 is not in the range 1<=x<=86400000",
    "groups reset-offsets": "name the groups to reset, or give --all",
    "groups reset-offsets g --group g --all": "name the groups to reset, or give --all",
    "groups reset-offsets g --all-topics": "say where to: choose one of --to-earliest, --to-latest",
    "groups reset-offsets g --all-topics --to-latest --to-offset 0": "--to-latest and --to-offset exclude each other",
    "groups reset-offsets g --to-latest": "say which partitions: --topic TOPIC[:0,1], or --all-topics",
    "groups reset-offsets g --to-latest --topic t --all-topics": "say which partitions: --topic",
    "groups reset-offsets g --to-latest --topic t:": "a partition is missing; expected TOPIC:0,1,2",
    "groups reset-offsets g --to-latest --topic t:x": "'x' is no partition; expected TOPIC:0,1,2",
    "groups reset-offsets g --all-topics --to-offset x": "'x' is not a valid integer range",
    "groups reset-offsets g --all-topics --to-datetime 2026-11-21T14:02": "has no time zone: add Z for UTC",
    "groups reset-offsets g --all-topics --by-duration P1Y": "is no duration such as PT15M",
    "groups reset-offsets g --from-file f --all-topics": "--from-file says itself which partitions",
    "groups reset-offsets g --all-topics --to-latest --dry-run --execute": "--execute and --dry-run exclude",
    "groups reset-offsets g --all-topics --to-latest --export --json": "--export, --plain, --csv and --json exclude",
    "groups delete": "name the groups to delete, or give --all",
    "groups delete-offsets g": "missing option '--topic'",
    "groups remove-members g": "say who: --instance ID, or --all-static",
    "groups remove-members g --instance a --all-static": "say who: --instance ID, or --all-static",
    "plan --members 3": "give either --partitions N or --topic NAME:N",
    "plan --members three --partitions 5": "--members wants numbers from 1",
    "plan --members 3 --topic orders": "--topic wants NAME:N",
    "plan --members 3 --partitions 1000000000": "1000000000 is not in the range 1<=x<=100000",
    "plan --members 3 --topic a:1000000000": "--topic wants NAME:N",
    "plan --members 3 --topic a:1 --topic a:2": "--topic a is given twice",
    "plan --members 3 --partitions 5 --strategy best": "'best' is not one of 'range'",
    "broker --memory --data x": "--memory and --data exclude each other",
    "broker --advertised nowhere": "--advertised wants HOST:PORT, not 'nowhere'",
    "broker --config port": "--config wants name=value",
    "broker --config-file /nowhere/server.properties": "cannot read /nowhere/server.properties",
    "broker --port 65536": "65536 is not in the range",
    "completion tcsh": "'tcsh' is not one of 'bash', 'zsh', 'fish'",
    "topics list -b nonsense:": "'nonsense:' is no broker's address: expected HOST:PORT",
    "topics list -b localhost:99999": "'localhost:99999' is no broker's address: expected HOST:PORT",
    "topics list -b localhost:0": "'localhost:0' is no broker's address: expected HOST:PORT",
    "produce t --events --keys 1000000000000": "1000000000000 is not in the range 1<=x<=1000000",
    "topics list --command-config /nowhere": "cannot read /nowhere",
}


@pytest.mark.parametrize("line", USAGE)
def test_wrong_usage_is_one_line_and_exit_code_2(line: str, capfd: pytest.CaptureFixture[str]) -> None:
    from rota.cli import run

    code = run(line.split())
    out, err = capfd.readouterr()
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert USAGE[line] in err


@pytest.mark.parametrize("words", [["describe", ""], ["describe", "g", " "], ["offsets-log", ""]])
def test_a_group_wants_a_name(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    from rota.cli import run

    assert run(["groups", *words]) == 2
    assert capfd.readouterr() == ("", f"error: a group wants a name, not {words[-1]!r}\n")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("no such\nthing"), "ValueError: no such thing"),
        (OverflowError("too large"), "OverflowError: too large"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_what_nobody_foresaw_is_one_line(
    error: Exception, said: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And where to read more: with ROTA_DEBUG the traceback comes as ever."""
    import rota.cli

    def fails(_: list[str]) -> int:
        raise error

    monkeypatch.delenv("ROTA_DEBUG", raising=False)
    monkeypatch.setattr(rota.cli, "_command", fails)
    assert rota.cli.run(["topics", "list"]) == 1
    assert capfd.readouterr() == ("", f"error: {said}; ROTA_DEBUG=1 in the environment shows where\n")
    monkeypatch.setenv("ROTA_DEBUG", "1")
    with pytest.raises(type(error)):
        rota.cli.run(["topics", "list"])


def test_an_error_of_the_client_that_nobody_foresaw_is_one_line(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from confluent_kafka import KafkaError, KafkaException

    import rota.cli

    def fails(_: list[str]) -> int:
        raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))

    monkeypatch.delenv("ROTA_DEBUG", raising=False)
    monkeypatch.setattr(rota.cli, "_command", fails)
    assert rota.cli.run(["topics", "list"]) == 1
    said = "error: Broker: Message size too large; ROTA_DEBUG=1 in the environment shows where\n"
    assert capfd.readouterr() == ("", said)


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        (
            "sesion.timeout.ms=1",
            "unknown client property sesion.timeout.ms; did you mean session.timeout.ms?",
        ),
        ("colour=red", "unknown client property colour"),
        ("session.timeout.ms=soon", 'Invalid value for configuration property "session.timeout.ms"'),
        ("just words\n", "line 1: expected name=value"),
        ("ssl.truststore.location=/x.jks", "belongs to Java clients; use ssl.ca.location"),
        ("sasl.jaas.config=Plain required;", "sasl.jaas.config holds no username"),
    ],
)
def test_a_wrong_property_is_wrong_usage(
    rota: Command, tmp_path: Path, properties: str, expected: str
) -> None:
    file = tmp_path / "client.properties"
    file.write_text(f"# a comment\n{properties}" if "words" not in properties else properties)
    # What a property may be is librdkafka's to say: commands that do not use it know names only.
    command = "topics" if "soon" in properties else "groups"
    said = rota(command, "list", "--command-config", str(file))
    assert said.code == 2
    assert said.err.count("\n") == 1
    assert expected in said.err


@pytest.mark.parametrize(
    "line",
    [
        "topics list",
        "topics create t",
        "topics describe t",
        "produce t --events --count 1",
        "consume t --timeout-ms 100",
        "consume t --group g --timeout-ms 100",
        "groups list",
        "groups describe g",
        "groups describe g --watch 1",
        "groups reset-offsets g --all-topics --to-latest --execute",
        "groups delete g --yes g",
        "groups delete-offsets g --topic t --yes g",
        "groups remove-members g --all-static --yes g",
    ],
)
def test_an_unreachable_broker_is_one_line_within_seconds(rota: Command, line: str) -> None:
    started = time.monotonic()
    said = rota(*line.split())
    assert time.monotonic() - started < 30
    assert (said.code, said.out) == (1, "")
    assert said.err == (
        "error: no broker at 127.0.0.1:1: the connection was refused; start one with `rota broker` "
        "or name another with --bootstrap-server\n"
    )


def test_a_name_that_does_not_resolve(rota: Command) -> None:
    said = rota("topics", "list", "--bootstrap-server", "no-such-host.invalid:9092")
    assert said.code == 1
    assert "no-such-host.invalid:9092" in said.err
    assert said.err.count("\n") == 1


def test_a_port_that_never_answers(rota: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        said = rota("topics", "list", "-b", address)
    assert time.monotonic() - started < 30
    assert said.code == 1
    assert said.err.startswith(f"error: no answer from a broker at {address}")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("line", LEAVES)
def test_help_teaches_by_example(line: str, capfd: pytest.CaptureFixture[str]) -> None:
    from rota.cli import run

    assert run([*line.split(), "--help"]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert "Example" in out
    assert f"rota {line}" in out.split("Example", 1)[1]


def test_help_lists_every_command(rota: Command) -> None:
    said = rota.good("--help")
    assert [line.split()[0] for line in said.out.split("Commands:\n")[1].splitlines()] == list(COMMANDS)


def test_every_declared_command_has_its_own_name() -> None:
    """The lazy table and the click commands agree (the lab has its own tests)."""
    context = click.Context(root)
    for name in COMMANDS:
        if name != "lab":
            command = root.get_command(context, name)
            assert command is not None
            assert command.name == name


def test_version(rota: Command) -> None:
    from rota import __version__

    assert rota.good("--version").out == f"rota {__version__}\n"


def test_no_arguments_show_the_help_and_exit_2(rota: Command) -> None:
    said = rota()
    assert said.code == 2
    assert "Commands:" in said.err


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (
            ["--help"],
            {"confluent_kafka", "rich", "asyncio", "rota.broker", "rota.cluster", "rota.coordinator"},
        ),
        (["broker", "--help"], {"confluent_kafka", "rich", "rota.cluster", "rota.timeline"}),
        (
            ["plan", "-m", "3", "-p", "5"],
            {"confluent_kafka", "rich", "asyncio", "rota.broker", "rota.cluster"},
        ),
        (["groups", "--help"], {"confluent_kafka", "rich", "asyncio", "rota.broker"}),
    ],
)
def test_a_command_imports_only_what_it_needs(arguments: list[str], heavy: set[str]) -> None:
    program = (
        "import sys, rota.cli; rota.cli.run(sys.argv[1:]); "
        "sys.stderr.write(' '.join(name for name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    assert heavy & set(done.stderr.split()) == set()


READY = "import sys, rota.cli.broker_start, rota.broker.node\n"
WARM = """\
import rota.broker.groups; from rota.broker.dispatch import FIRST_APIS, Dispatch
for key in FIRST_APIS: Dispatch().warm(key)
"""


HEAVY = {"asyncio", "click", "confluent_kafka", "dataclasses", "inspect", "rich", "rota.cluster", "uuid"}


@pytest.mark.parametrize("program", [READY, READY + WARM])
def test_the_broker_imports_only_what_a_broker_needs(program: str) -> None:
    """Whoever starts one for a test waits for its imports: up to the ready line, and up to the first group."""
    program += "sys.stdout.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stdout.split()) == set()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str, capfd: pytest.CaptureFixture[str]) -> None:
    from rota.cli import run

    assert run(["completion", shell]) == 0
    assert f"_ROTA_COMPLETE={shell}_complete" in capfd.readouterr().out


def test_completion_knows_the_commands() -> None:
    environment = {
        **os.environ,
        "_ROTA_COMPLETE": "bash_complete",
        "COMP_WORDS": "rota gr",
        "COMP_CWORD": "1",
    }
    command = [str(Path(sys.executable).with_name("rota"))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["plain,groups"]


def test_a_closed_pipe_is_no_error() -> None:
    command = f"{sys.executable} -m rota plan -m {','.join(['400'] * 40)} -p 2000 | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
