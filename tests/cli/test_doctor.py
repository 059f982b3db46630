"""`rota doctor`, the real command, at groups that are well and at some that are not."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.cli.command import Command
from tests.clients.desk import Desk
from tests.monitor.doctor.ward import commit, cut
from tests.monitor.doctor.workers import Worker

from rota.cli.doctor import doctor
from rota.monitor.doctor import all_rules

ESCAPE = "\x1b"


def committed(desk: Desk, hint: str, records: int, offset: int) -> tuple[str, str]:
    """A topic with so many records in one partition, and a group that has read so far and is not there any more."""
    topic, group = desk.topic(hint, 1), desk.name(hint)
    desk.produce(topic, records, 1)
    commit(desk, group, topic, offset)
    return topic, group


def test_a_healthy_group(cli: Command, desk: Desk) -> None:
    """One line with what it looked at, and exit code 0. Nobody is behind, so it does not look for long."""
    topic, group = desk.topic("well", 2), desk.name("well")
    desk.produce(topic, 3, 2)
    with Worker(desk.bootstrap_servers, group, topic, client_id="a") as worker:
        worker.wait_owns(2)
        desk.wait_committed(group, {(topic, 0): 3, (topic, 1): 3})
        said = cli("doctor", group)
    assert said.err == ""
    assert said.code == 0, said
    assert re.match(
        rf"{group}: healthy.*\. Stable, 1 member, 2 partitions, lag 0; watched for ", said.lines[0]
    )


def test_a_group_with_a_finding(cli: Command, desk: Desk) -> None:
    """The verdict first; then what is wrong, on what evidence, what to do, and what would change the mind."""
    topic, group = committed(desk, "lost", 100, 10)
    cut(desk, topic, 30)
    said = cli("doctor", group, "--for", "0")
    assert said.code == 3
    assert said.err == ""
    assert said.lines[0].startswith(f"{group}: 1 warning. Empty, 0 members, 1 partition, lag 70")
    assert said.lines[0].endswith("; one look.")
    text = " ".join(said.out.split())
    assert f"WARNING 20 records of {topic}-0 were deleted before they were read" in text
    assert "[D02 records-lost, certain]" in text
    assert f"evidence {topic}-0: committed: 10 (OffsetFetch)" in text
    assert "what to do Decide where to go on" in text
    command = f"$ rota groups reset-offsets {group} --topic {topic}:0 --to-earliest --dry-run"
    assert f"{command} --bootstrap-server {desk.bootstrap_servers}" in text
    assert "unless Somebody deleted the records on purpose" in text
    assert "several looks" in text  # why other rules could not be judged
    assert ESCAPE not in said.out
    # The command that it prints does what it says.
    shown = cli(*command.removeprefix("$ rota ").split())
    assert shown.code == 0, shown
    assert re.search(r"0 +10 +-> +30", shown.out), shown


def test_for_programs(cli: Command, desk: Desk) -> None:
    """JSON has everything, for several groups, the worst first."""
    well = committed(desk, "fine", 5, 5)[1]
    topic, ill = committed(desk, "ill", 100, 10)
    cut(desk, topic, 30)
    said = cli("doctor", well, ill, "--for", "0", "--json")
    assert said.code == 3
    told = said.json()
    assert told["healthy"] is False
    assert [each["group"] for each in told["groups"]] == [ill, well]
    (finding,) = [each for each in told["groups"][0]["findings"] if each["rule"] == "D02"]
    assert finding["severity"] == "warning"
    assert finding["partitions"] == [f"{topic}-0"]
    assert {"what", "value", "source"} == finding["evidence"][0].keys()
    assert {"D03", "D04"} <= {each["rule"] for each in told["groups"][1]["not_judged"]}
    assert "D02" in told["groups"][1]["judged"]


def test_all_groups(cli: Command, desk: Desk) -> None:
    """A verdict over all of them, and the ill ones in full."""
    topic, ill = committed(desk, "one", 100, 10)
    cut(desk, topic, 30)
    said = cli("doctor", "--all", "--for", "0")
    assert said.code == 3
    assert re.match(r"\d+ groups: \d+ needs? help: ", said.lines[0])
    assert any(line.startswith(f"{ill}: 1 warning.") for line in said.lines)


def test_watching(cli: Command, desk: Desk) -> None:
    """One document a look, until it is told to stop; a finding comes and goes."""
    topic, group = committed(desk, "watch", 100, 10)
    with cli.start("doctor", group, "--watch", "0.5", "--json") as running:
        assert json.loads(running.next_out())["healthy"] is True
        cut(desk, topic, 30)
        while json.loads(running.next_out())["healthy"]:
            pass
        commit(desk, group, topic, 30)
        while not json.loads(running.next_out())["healthy"]:
            pass
        assert running.stop().code == 130


def test_what_a_broker_log_says(cli: Command, desk: Desk, tmp_path: Path) -> None:
    """A file that is something else is told to be so; the examination goes on."""
    group = committed(desk, "log", 5, 5)[1]
    log = tmp_path / "server.log"
    log.write_text("nothing of groups\n")
    said = cli("doctor", group, "--for", "0", "--broker-log", str(log))
    assert said.code == 0
    assert said.err == f"{log} says nothing of groups: is it the log of their coordinator, at level INFO?\n"


def test_a_group_that_does_not_exist(cli: Command, desk: Desk) -> None:
    """An error that says where to look, beside nothing else."""
    name = desk.name("nobody")
    said = cli("doctor", name, "--for", "0")
    assert (said.code, said.out) == (1, "")
    assert said.err == f"error: group {name} does not exist; `rota groups list` shows those that do\n"


def test_a_name_too_many_hides_nothing(cli: Command, desk: Desk) -> None:
    """Who exists is examined, the others are an error at the end: exit code 1, or 3 if something is wrong."""
    well, nobody = committed(desk, "known", 5, 5)[1], desk.name("unknown")
    says = f"error: group {nobody} does not exist; `rota groups list` shows those that do\n"
    said = cli("doctor", nobody, well, "--for", "0")
    assert (said.code, said.err) == (1, says)
    assert said.lines[0].startswith(f"{well}: healthy. Empty")
    topic, ill = committed(desk, "worse", 100, 10)
    cut(desk, topic, 30)
    said = cli("doctor", nobody, ill, "--for", "0", "--json")
    assert (said.code, said.err) == (3, says)
    assert [each["group"] for each in said.json()["groups"]] == [ill]
    assert said.json()["missing"] == [nobody]


def test_one_look_calls_no_group_healthy_that_is_behind(cli: Command, desk: Desk) -> None:
    """It says what was not judged, and how to have it judged; exit code 0, for nothing was found."""
    behind, well = committed(desk, "behind", 100, 10)[1], committed(desk, "up", 5, 5)[1]
    said = cli("doctor", behind, "--for", "0")
    assert said.code == 0
    assert re.match(
        rf"{behind}: nothing found so far; not judged: .*D30: look longer \(--for 16\)\. Empty", said.out
    )
    assert (
        cli("doctor", behind, well, "--for", "0").lines[0] == "2 groups: nothing found so far, 1 not known."
    )
    told = cli("doctor", behind, well, "--for", "0", "--json").json()
    assert (told["healthy"], told["verdict"]) == (False, "unknown")
    assert {each["group"]: each["verdict"] for each in told["groups"]} == {behind: "unknown", well: "healthy"}
    assert cli("doctor", behind, "--for", "2").lines[0].startswith(f"{behind}: healthy. Empty")


def test_names_from_strangers_do_not_reach_the_terminal(cli: Command, desk: Desk) -> None:
    """A group whose name clears the screen."""
    topic = desk.topic("esc", 1)
    group = f"{desk.name('esc')}{ESCAPE}[2J"
    commit(desk, group, topic, 0)
    assert ESCAPE not in cli("doctor", group, "--for", "0").out


# Without a cluster


def test_rules_are_listed_and_explained(rota: Command) -> None:
    """By number or name; a wrong one gets the nearest."""
    said = rota.good("doctor", "--rules")
    assert [line.split()[0] for line in said.lines[1:]] == [rule.id for rule in all_rules()]
    by_id, by_name = (
        rota.good("doctor", "--explain", "d11"),
        rota.good("doctor", "--explain", "poll-interval"),
    )
    assert by_id.out == by_name.out
    assert by_id.lines[0] == "D11 poll-interval (warning): members polled too seldom and were thrown out"
    assert [line for line in by_id.lines if line and not line.startswith(" ")][1:4] == [
        "What it is",
        "Why it happens",
        "What to do",
    ]
    listed = rota.good("doctor", "--rules", "--json").json()
    assert [each["rule"] for each in listed] == [rule.id for rule in all_rules()]
    one = rota.good("doctor", "--explain", "D11", "--json").json()
    assert one == listed[10]
    assert (one["name"], one["severity"]) == ("poll-interval", "warning")
    assert one["what"] in " ".join(by_id.out.split())
    wrong = rota("doctor", "--explain", "pol-interval")
    assert (wrong.code, wrong.err) == (
        2,
        "error: there is no rule 'pol-interval': did you mean poll-interval?\n",
    )


def test_wrong_usage(rota: Command) -> None:
    """Said at once, before anybody is asked."""
    for words, says in (
        ((), "name the groups to examine, or give --all for every group"),
        (("g", "--all"), "name the groups to examine"),
        (("g", "--for", "3", "--watch", "3"), "give either --for or --watch"),
        (("  ",), "a group wants a name"),
        (("g", "--for", "-1"), "--for"),
    ):
        said = rota("doctor", *words)
        assert said.code == 2, said
        assert says in said.err


def test_nobody_answers(rota: Command) -> None:
    """One line, exit code 1."""
    said = rota("doctor", "g", "--timeout", "500")
    assert said.code == 1
    assert said.err.startswith("error: no broker at 127.0.0.1:1")


def test_every_option_is_in_the_documentation() -> None:
    """And nothing that is no option."""
    text = Path(__file__).parents[2].joinpath("docs", "doctor.md").read_text(encoding="utf-8")
    told = {
        word
        for line in re.findall(r"^rota doctor.*$", text, re.MULTILINE)
        for word in re.findall(r"--[\w-]+", line)
    }
    known = {name for option in doctor.params for name in option.opts if name.startswith("--")}
    shared = {"--bootstrap-server", "--command-config", "--timeout", "--group", "--all-groups"}
    assert told == known - shared
