"""The benchmarks' frame, and that a benchmark runs; what they measure is for `make bench`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bench import running
from bench.frame import Figure, Growth, Result
from bench.report import growth_table, table

_ROOT = Path(__file__).parents[1]


def _bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=240, check=False)


def test_the_list_names_every_benchmark() -> None:
    done = _bench("--list")
    assert done.returncode == 0, done.stderr
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert names[:3] == ["raw-produce", "raw-fetch", "round-trip"]
    assert len(names) == len(set(names)) == 14


def test_an_unknown_name_is_refused() -> None:
    done = _bench("--only", "raw-fetch,nothing")
    assert done.returncode == 1
    assert "no benchmark is called nothing; there are assignors, " in done.stderr


def test_what_fails_is_told_and_the_rest_runs_all_the_same() -> None:
    said: list[str] = []
    ran: list[str] = []
    things = {
        "broken": ("divides", lambda: ran.append(str(1 / 0))),
        "well": ("runs", lambda: ran.append("well")),
    }
    failed = running.run_each(things, said.append)
    assert (failed, ran) == (["broken"], ["well"])
    assert [each.splitlines()[0] for each in said] == ["broken: divides", "broken FAILED:", "well: runs"]
    with pytest.raises(SystemExit, match="bench: broken failed, see above"):
        running.end(failed)


@pytest.mark.usefixtures("kafka_jars")
def test_a_quick_benchmark_runs_on_both_brokers(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    done = _bench("--quick", "--only", "round-trip", "--json", str(file))
    assert done.returncode == 0, done.stderr
    p50, p99 = json.loads(file.read_text())["figures"]
    assert [len(taken) for taken in p50["samples"].values()] == [1, 1]
    assert 0 < p50["rota"] <= p99["rota"]
    assert p50["name"] in done.stdout


def test_a_result_is_the_ratio_of_medians() -> None:
    result = Result(Figure("speed", "1/s", 1.5, more_is_better=True))
    result.samples["rota"] += [4.0, 3.0, 8.0]
    result.samples["kafka"] += [2.0, 2.0, 2.0]
    assert (result.ratio, result.spread, result.met) == (2.0, (1.5, 4.0), True)
    assert "2.00" in table([result])[1]


def test_less_may_be_better() -> None:
    result = Result(Figure("time", "s", 0.5))
    result.samples["rota"].append(6.0)
    result.samples["kafka"].append(10.0)
    assert result.met is False


@pytest.mark.parametrize(("power", "met"), [(0.0, True), (1.0, True), (2.0, False)])
def test_growth_is_told_by_its_exponent(power: float, met: bool) -> None:
    growth = Growth("work", "s", "things")
    for size in (1, 10, 100, 1000):
        growth.add(size, size**power)
    assert growth.exponent == pytest.approx(power)
    assert growth.met is met
    assert f"{power:.2f}" in growth_table([growth])[1]


def test_what_is_constant_hides_no_late_growth() -> None:
    growth = Growth("work", "s", "things")
    for size in (1, 10, 100, 1000):
        growth.add(size, 1e4 + size**2)
    assert growth.exponent < 1
    assert not growth.met
