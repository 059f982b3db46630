"""D10: a restart loop."""

from tests.monitor.doctor.checks import alone, findings_of, told
from tests.monitor.doctor.test_d09_rebalance_storm import lived


def flapping(reason: str = "member-left", times: int = 4) -> str:
    lines = ["0 joins pod-1@10.0.0.1", "1 joins pod-7@10.0.0.7"]
    for n in range(times):
        lines += [f"{10 + 20 * n} leaves pod-7 {reason}", f"{15 + 20 * n} joins pod-7@10.0.0.7"]
    return "\n".join(lines)


def test_the_same_program_again_and_again() -> None:
    """Who, how often, how long it lasted, how it went."""
    (found,) = alone("D10", lived(flapping(), 80))
    assert found.words == (
        "pod-7 (10.0.0.7) left and came back 4 times within 65.0 s: its program is started again and again"
    )
    assert found.members == tuple(f"pod-7#{n}" for n in range(1, 6))
    assert "left: 4× with a goodbye" in told(found)
    assert "stayed each time: 13.5 s" in told(found)


def test_a_crash_loop() -> None:
    """Each time its session expires; that it vanished is not told beside it."""
    (found,) = alone("D10", lived(flapping("session-expired"), 80))
    assert "left: 4× without a word" in told(found)
    assert "D12" not in findings_of(lived(flapping("session-expired"), 80))


def test_polling_too_seldom_is_another_matter() -> None:
    """The program lives: D11 says what is wrong."""
    assert not alone("D10", lived(flapping("poll-interval-exceeded"), 80))


def test_one_restart() -> None:
    """Twice is no loop."""
    assert not alone("D10", lived(flapping(times=2), 80))


def test_a_deploy_of_programs_that_share_a_client_id() -> None:
    """Four on one host, each replaced once: nobody flaps."""
    lines = [f"{n} joins w{n}@10.0.0.1 client=worker" for n in range(4)]
    for n in range(4):
        lines += [
            f"{20 + 10 * n} leaves w{n} member-left",
            f"{22 + 10 * n} joins n{n}@10.0.0.1 client=worker",
        ]
    assert not alone("D10", lived("\n".join(lines), 80))
