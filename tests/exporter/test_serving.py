"""The exporter's server, over looks that a test tells."""

from __future__ import annotations

import gzip
import urllib.error
import urllib.request

import pytest
from tests.kafka.ports import PATIENCE_S, wait_until
from tests.watching.test_watch import NEVER_S, Scripted, seen

from rota.exporter.page import Page
from rota.exporter.serving import Exporter, styles
from rota.exporter.style import Lines
from rota.model import RotaError
from rota.monitor.view import GroupView
from rota.watching.looking import Seen
from rota.watching.watch import Watch


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_scrape_has_what_was_seen_while_a_look_goes_on() -> None:
    source = Scripted()
    told: list[Seen] = []
    with (
        Watch(source=source, interval_s=NEVER_S) as watch,
        Exporter(watch, Page(styles(["native"], "")), "127.0.0.1", 0, told.append) as exporter,
    ):
        assert get(exporter.port, "/health") == (503, "no look at the cluster has ended yet\n")
        source.told.put(seen("group a\na-0 1/3"))
        lag = 'kafka_consumer_lag{topic="a",partition="0",consumer_group="a"} 2\n'
        wait_until("the page is made", lambda: lag in get(exporter.port, "/metrics")[1])
        assert get(exporter.port, "/health") == (200, "1 groups\n")
        source.wait()
        watch.refresh()
        source.wait()  # a look that does not end
        assert lag in get(exporter.port, "/metrics")[1]
        source.told.put(Seen(views=watch.views(), failure=RotaError("nobody answers")))
        wait_until("it failed", lambda: "\nrota_up 0\n" in get(exporter.port, "/metrics")[1])
        assert lag in get(exporter.port, "/metrics")[1]
        assert get(exporter.port, "/health") == (503, "the last look failed: nobody answers\n")
        wait_until("both were told", lambda: len(told) == 2)
        assert get(exporter.port, "/")[0] == 200
        assert get(exporter.port, "/else")[0] == 404
        source.told.put(Seen())


def test_a_mistake_of_ours_takes_the_series_away_and_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Scripted()
    page = Page(styles(["native"], ""))
    told: list[Seen] = []

    def broken(view: GroupView, lines: Lines) -> None:
        raise KeyError(view.facts.group)

    with (
        Watch(source=source, interval_s=NEVER_S) as watch,
        Exporter(watch, page, "127.0.0.1", 0, told.append) as exporter,
    ):
        source.told.put(seen("group a\na-0 1/3"))
        wait_until("the page is made", lambda: '"a"' in get(exporter.port, "/metrics")[1])
        monkeypatch.setattr(page._styles[0], "group", broken, raising=False)
        watch.refresh()
        source.told.put(seen("group a\na-0 2/3"))
        wait_until("it is told", lambda: len(told) == 2)
        text = get(exporter.port, "/metrics")[1]
        assert "\nrota_up 0\n" in text
        assert '"a"' not in text
        assert "KeyError('a')" in str(told[1].failure)
        source.told.put(Seen())


def test_a_listener_that_fails_keeps_no_page_from_being_made(caplog: pytest.LogCaptureFixture) -> None:
    source = Scripted()

    def broken(_: Seen) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    with (
        Watch(source=source, interval_s=NEVER_S) as watch,
        Exporter(watch, Page(styles(["native"], "")), "127.0.0.1", 0, broken) as exporter,
    ):
        source.told.put(seen("group a\na-0 1/3"))
        wait_until("the page is made", lambda: '"a"' in get(exporter.port, "/metrics")[1])
        watch.refresh()
        source.told.put(seen("group b\nb-0 1/3"))
        wait_until("the next one too", lambda: '"b"' in get(exporter.port, "/metrics")[1])
        assert "\nrota_looks_total 2\n" in get(exporter.port, "/metrics")[1]
        source.told.put(Seen())
    assert "Broken pipe" in caplog.text


@pytest.mark.parametrize(
    ("wanted", "packed"),
    [
        ("gzip", True),
        ("deflate, gzip;q=0.5", True),
        ("*", True),
        ("X-Gzip", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("br;q=1", False),
    ],
)
def test_whoever_takes_gzip_gets_it(wanted: str, packed: bool) -> None:
    source = Scripted()
    with (
        Watch(source=source, interval_s=NEVER_S) as watch,
        Exporter(watch, Page(styles(["native"], "")), "127.0.0.1", 0) as exporter,
    ):
        source.told.put(seen("group a\na-0 1/3"))
        wait_until("the page is made", lambda: 'topic="a"' in get(exporter.port, "/metrics")[1])
        plain = get(exporter.port, "/metrics")[1]
        asked = urllib.request.Request(
            f"http://127.0.0.1:{exporter.port}/metrics", headers={"Accept-Encoding": wanted}
        )
        with urllib.request.urlopen(asked, timeout=PATIENCE_S) as answer:
            body = answer.read()
            assert answer.headers["Content-Encoding"] == ("gzip" if packed else None)
            assert answer.headers["Vary"] == "Accept-Encoding"
        assert (gzip.decompress(body) if packed else body).decode() == plain
        source.told.put(Seen())
