"""The lab's plain log, line by line."""

from __future__ import annotations

from rota.rehearsal.plain import Log
from rota.rehearsal.session import Line


def test_the_clock_of_the_log_never_steps_back() -> None:
    """A consumer's note of 2.9 s is read after the broker's of 3.1 s."""
    said: list[str] = []
    log = Log(said.append)
    for at_ms in (1_000, 3_100, 2_900, 4_000):
        log.show(Line(at_ms, "something"))
    times = [line.split()[0] for line in said]
    assert times == sorted(times)
    assert times[1] == times[2]
