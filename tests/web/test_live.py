"""`rota web` as a user runs it, in a real browser, over real groups on both brokers."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.kafka.ports import PATIENCE_S
from tests.web.serving import WebProcess, ask

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page, Route
    from tests.clients.desk import Desk

QUICK = {"session_timeout_ms": 3000, "heartbeat_interval_ms": 200}


def test_a_rebalance_is_seen_as_it_happens_with_its_cause(page: Page, desk: Desk) -> None:
    """A member comes, one is killed; the page, opened once, shows both, and comes back when its server does."""
    topic, group = desk.topic("orders", partitions=4), desk.name("group")
    parts = desk.produce(topic, 5, partitions=4)
    one = desk.member("confluent", group, topic, "pod-1", commit_each_poll=True, **QUICK)
    desk.wait_stable(group, [one], parts)
    with WebProcess(desk.bootstrap_servers, "--group", group) as web:
        page.goto(f"{web.address}/group/{group}")
        names = page.locator(".rows-box .bar-name")
        expect(names.filter(has_text="pod-1")).to_have_count(4)
        two = desk.process_member("confluent", group, topic, "pod-2", commit_each_poll=True, **QUICK)
        desk.wait_stable(group, [one, two], parts, sizes=[2, 2])
        expect(names.filter(has_text="pod-2")).to_have_count(2)
        log = page.locator(".log > li")
        expect(log.first).to_contain_text("pod-2 joined")
        expect(page.locator(".members tbody tr")).to_have_count(2)
        expect(page.locator(".rows-box .band")).not_to_have_count(0)

        two.kill()
        desk.wait_stable(group, [one], parts)
        expect(log.first).to_contain_text(re.compile("pod-2 (was silent for its whole session timeout|left)"))
        expect(page.locator(".members tbody tr")).to_have_count(1)

        web.kill()
        expect(page.locator("#pulse")).to_contain_text(re.compile("reconnecting|not reachable"))
        one.stop()
        web.start()
        expect(page.locator("#pulse")).to_contain_text("live")
        expect(page.locator(".page-head .state")).to_have_text("Empty")
        desk.admin.delete_consumer_groups([group])[group].result(PATIENCE_S)
        expect(page.locator(".gone")).to_contain_text("This group is gone")
        for _ in range(3):  # and is gone after the next look too
            page.evaluate(
                "() => new Promise((heard) => document.addEventListener('rota-pulse', heard, { once: true }))"
            )
        expect(page.locator(".gone")).to_contain_text("This group is gone")


def test_offsets_are_reset_as_planned_and_only_as_planned(page: Page, desk: Desk, tmp_path: Path) -> None:
    """A reset is shown first; refused while there are members; done once the name is typed."""
    topic, group = desk.topic("orders", partitions=2), desk.name("group")
    parts = desk.produce(topic, 7, partitions=2)
    one = desk.member("confluent", group, topic, "pod-1", commit_each_poll=True, **QUICK)
    desk.wait_stable(group, [one], parts)
    desk.wait_committed(group, dict.fromkeys(parts, 7))
    with WebProcess(desk.bootstrap_servers, "--allow-changes", cwd=tmp_path) as web:
        page.goto(f"{web.address}/group/{group}")
        expect(page.locator(".tiles")).to_be_visible()
        page.keyboard.press("r")
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Go on").select_option("shift-by")
        dialog.get_by_role("spinbutton").fill("-3")
        dialog.get_by_role("button", name="Show the plan").click()
        expect(dialog.locator(".plan-sum")).to_have_text("2 partitions: 6 records are read again.")
        first = dialog.locator(".plan tbody tr").first
        assert first.locator("td").nth(0).inner_text() == "7"
        assert first.locator("td").nth(2).inner_text() == "4"
        expect(first).to_contain_text("3 read again")
        expect(first.locator(".span")).to_have_text(re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"))
        expect(dialog.locator(".refused")).to_contain_text("once these members are stopped")
        expect(dialog.locator(".refused")).to_contain_text("pod-1 at 127.0.0.1")
        one.stop()
        expect(page.locator(".page-head .state")).to_have_text("Empty")
        dialog.get_by_role("button", name="Show the plan").click()
        doing = dialog.get_by_role("button", name="Reset 2 partitions")
        expect(doing).to_be_disabled()
        typed = dialog.get_by_label("The group's name")
        typed.fill(group[:-1])
        expect(doing).to_be_disabled()
        typed.fill(group)
        doing.click()
        expect(dialog.locator(".done")).to_have_text(f"2 partitions of group {group} reset.")
        assert desk.committed(group) == dict.fromkeys(parts, 4)
        with page.expect_download() as saved:
            dialog.get_by_role("button", name="Save the rollback file").click()
        back = saved.value.path()
        (written,) = tmp_path.glob("*-before-*.csv")
        expect(dialog.get_by_text(f"What was committed before is also in {written}")).to_be_visible()
        assert written.read_text() == "".join(f"{topic},{number},7\n" for number in range(2))
        dialog.get_by_role("button", name="Close").last.click()
        expect(page.locator(".tile", has_text="Lag").first.locator(".tile-value")).to_have_text("6")

        page.keyboard.press("r")
        dialog.get_by_label("Go on").select_option("to-latest")
        dialog.get_by_role("button", name="Show the plan").click()
        expect(dialog.locator(".plan-sum")).to_contain_text("6 records are skipped, never to be read")
        rota = [sys.executable, "-m", "rota", "groups", "reset-offsets", "-b", desk.bootstrap_servers]
        subprocess.run(
            [*rota, "--from-file", str(back), "--rollback", str(tmp_path / "forth.json"), "--execute", group],
            check=True,
            capture_output=True,
            timeout=PATIENCE_S,
        )
        assert desk.committed(group) == dict.fromkeys(parts, 7)
        dialog.get_by_label("The group's name").fill(group)
        dialog.get_by_role("button", name="Reset 2 partitions").click()
        expect(dialog.get_by_role("alert")).to_contain_text("was committed since this plan was made")
        assert desk.committed(group) == dict.fromkeys(parts, 7)


def test_a_server_that_only_looks_only_plans(page: Page, desk: Desk) -> None:
    topic, group = desk.topic("orders", partitions=1), desk.name("group")
    parts = desk.produce(topic, 3, partitions=1)
    one = desk.member("confluent", group, topic, "pod-1", commit_each_poll=True, **QUICK)
    desk.wait_stable(group, [one], parts)
    desk.wait_committed(group, dict.fromkeys(parts, 3))
    one.stop()
    with WebProcess(desk.bootstrap_servers) as web:
        page.goto(f"{web.address}/group/{group}")
        expect(page.locator(".page-head .state")).to_have_text("Empty")
        page.keyboard.press("r")
        page.get_by_role("button", name="Show the plan").click()
        expect(page.locator(".plan-sum")).to_have_text("1 partition: 3 records are read again.")
        expect(page.locator(".refused")).to_contain_text("started without --allow-changes")
        expect(page.locator(".execute")).to_have_count(0)
        session = ask(web.port, "/api/session").json()
        headers = {
            "Origin": f"http://127.0.0.1:{web.port}",
            "X-Rota-Change": session["secret"],
            "Content-Type": "application/json",
        }
        body = f'{{"group": "{group}", "typed": "{group}", "plan": "x"}}'.encode()
        answer = ask(web.port, "/api/reset/execute", method="POST", headers=headers, body=body)
        assert (answer.status, "only looks" in answer.text) == (400, True)
    assert desk.committed(group) == dict.fromkeys(parts, 3)


def test_elsewhere_than_on_loopback_the_page_wants_its_token(page: Page) -> None:
    """Also where no cluster answers: the page says so, and who may not see it does not."""
    with WebProcess("127.0.0.1:1", "--host", "0.0.0.0") as web:
        token = web.address.partition("?token=")[2]
        assert len(token) >= 32
        here = f"http://127.0.0.1:{web.port}"
        page.goto(f"{here}/group/a%2Fb?t=12:00")
        expect(page.get_by_label("Token")).to_be_focused()
        page.keyboard.type("not the token")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("That is not the token.")
        page.get_by_label("Token").fill(token)
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text("a/b")
        page.context.clear_cookies()
        page.goto(f"{here}/group/a%2Fb?token={token}")
        expect(page.locator("h1")).to_have_text("a/b")
        assert page.url == f"{here}/group/a%2Fb"
        assert ask(web.port, "/api/groups").status == 401
        told = web.address.removeprefix("http://").partition("/")[0]  # by this machine's name
        assert ask(web.port, f"/?token={token}", host=told).status in {200, 303}
        assert ask(web.port, f"/?token={token}", host="elsewhere.example").status == 421
        assert web.stop() == 0


@pytest.mark.parametrize("comes_back", ["at once", "when it is asked"])
def test_a_lost_answer_costs_no_rollback(page: Page, desk: Desk, comes_back: str, tmp_path: Path) -> None:
    """The browser hears nothing of a reset that was done: it asks what became of it."""
    topic, group = desk.topic("orders", partitions=1), desk.name("group")
    parts = desk.produce(topic, 5, partitions=1)
    one = desk.member("confluent", group, topic, "pod-1", commit_each_poll=True, **QUICK)
    desk.wait_stable(group, [one], parts)
    desk.wait_committed(group, dict.fromkeys(parts, 5))
    one.stop()

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    with WebProcess(desk.bootstrap_servers, "--allow-changes", cwd=tmp_path) as web:
        page.goto(f"{web.address}/group/{group}")
        expect(page.locator(".page-head .state")).to_have_text("Empty")
        page.route("**/api/reset/execute", lose)
        if comes_back != "at once":
            page.route("**/api/reset/outcome", lambda route: route.abort())
        page.keyboard.press("r")
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Show the plan").click()
        dialog.get_by_label("The group's name").fill(group)
        doing = dialog.get_by_role("button", name="Reset 1 partition")
        doing.click()
        if comes_back != "at once":
            expect(dialog.get_by_role("alert")).to_contain_text("whether it was done is not known")
            expect(doing).to_be_disabled()
            page.unroute("**/api/reset/outcome")
            dialog.get_by_role("button", name="Ask what became of it").click()
        expect(dialog.locator(".done")).to_have_text(f"1 partition of group {group} reset.")
        assert desk.committed(group) == dict.fromkeys(parts, 0)
        with page.expect_download() as saved:
            dialog.get_by_role("button", name="Save the rollback file").click()
        assert '"offset": 5' in saved.value.path().read_text()
