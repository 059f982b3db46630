"""Heartbeats of a group of 1,000 members, one under way on each connection; the broker's processor time for one."""

from __future__ import annotations

from bench.frame import KINDS, Benchmark, Figure, Run
from bench.load import exchange
from bench.members import Members
from bench.servers import Server, cpu_s

CPU = Figure("heartbeat, 1,000 members: broker CPU", "us", 0.6)
RATE = Figure("heartbeats, 1,000 members", "1/s", None, more_is_better=True)


def run(run: Run) -> None:
    count = run.count(1000, 300)
    run.say(f"  {count} members join on each; then {run.choose(4, 2):g} s of heartbeats")
    with (
        Members(run.pair["rota"].bootstrap_servers, "heartbeats", count) as ours,
        Members(run.pair["kafka"].bootstrap_servers, "heartbeats", count) as theirs,
    ):
        groups = {"rota": ours, "kafka": theirs}
        for kind in KINDS:
            _turn(run.pair[kind], groups[kind], run.choose(4, 2))
        for kind in run.turns():
            each_s, rate = _turn(run.pair[kind], groups[kind], run.choose(2, 1))
            run.add(CPU, kind, each_s * 1e6)
            run.add(RATE, kind, rate)


def _turn(server: Server, members: Members, seconds: float) -> tuple[float, float]:
    """The broker's seconds for each, and how many a second."""
    before = cpu_s(server.pid)
    pumped = exchange([client.socket for client in members.clients], members.heartbeats(), seconds)
    # What comes before the count begins: one heartbeat of each.
    return (cpu_s(server.pid) - before) / (pumped.answers + len(members.clients)), pumped.per_s


BENCHMARK = Benchmark("heartbeats", "processor time of a heartbeat in a group of 1,000 members", run)
