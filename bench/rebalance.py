"""Forced rebalances of a group of 1,000 members: everyone joins, everyone syncs.

Wall time is from the first join's sending until the last sync's answer; processor time is the broker's.
"""

from __future__ import annotations

import statistics

from bench.frame import KINDS, Benchmark, Figure, Run
from bench.members import Members
from bench.servers import Server, cpu_s

CPU = Figure("rebalance of 1,000 members: broker CPU", "ms", 0.6)
WALL = Figure("rebalance of 1,000 members: elapsed", "ms", 0.8)


def run(run: Run) -> None:
    count = run.count(1000, 300)
    run.say(f"  {count} members join on each; then {run.count(30, 8)} rebalances to warm up")
    with (
        Members(run.pair["rota"].bootstrap_servers, "rebalance", count) as ours,
        Members(run.pair["kafka"].bootstrap_servers, "rebalance", count) as theirs,
    ):
        groups = {"rota": ours, "kafka": theirs}
        for kind in KINDS:
            _turn(run.pair[kind], groups[kind], run.count(30, 8))
        for kind in run.turns():
            processor_s, wall_s = _turn(run.pair[kind], groups[kind], run.count(8, 4))
            run.add(CPU, kind, processor_s * 1000)
            run.add(WALL, kind, wall_s * 1000)


def _turn(server: Server, members: Members, times: int) -> tuple[float, float]:
    before = cpu_s(server.pid)
    taken = [members.rebalance() for _ in range(times)]
    return (cpu_s(server.pid) - before) / times, statistics.median(taken)


BENCHMARK = Benchmark("rebalance", "forced rebalances of a group of 1,000 members", run)
