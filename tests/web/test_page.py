"""The page in a real browser, over groups that are made up: what is seen, keys, themes, names, and what goes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from tests.kafka.ports import wait_until
from tests.web import scenes
from tests.web.serving import Here, now_ms

from rota.model import RotaError
from rota.monitor.findings import EvidenceLine, Finding
from rota.monitor.view import Level

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page


@pytest.fixture(scope="module")
def stage() -> scenes.Stage:
    return scenes.Stage({})


@pytest.fixture(scope="module")
def server(stage: scenes.Stage) -> Iterator[Here]:
    with Here(stage) as running:
        yield running


@pytest.fixture(autouse=True)
def common_day(stage: scenes.Stage) -> None:
    for name in list(stage.views()):
        stage.show(without=name)
    stage.fail(None)
    stage.show(*scenes.fleet(now_ms()))


def names(page: Page) -> list[str]:
    return [str(text) for text in page.locator("table.groups tbody th a").all_inner_texts()]


def open_list(page: Page, server: Here, query: str = "") -> None:
    page.goto(server.address + "/" + query)
    expect(page.get_by_role("link", name="orders")).to_be_visible()


def open_group(page: Page, server: Here, path: str = "/group/orders") -> None:
    page.goto(server.address + path)
    expect(page.locator(".tiles")).to_be_visible()


# The list


def test_the_worst_groups_come_first(page: Page, server: Here) -> None:
    open_list(page, server)
    assert names(page)[:3] == ["audit", "mail-sender", "orders"]
    row = page.locator("tr", has=page.get_by_role("link", name="mail-sender"))
    expect(row.locator(".c-lag")).to_have_text("88,200")
    expect(row.locator(".c-time")).to_have_text("3m12s")
    expect(row.locator(".level")).to_have_text("↑ growing")
    expect(row.locator(".c-finding")).to_contain_text("two more members are needed")
    assert "from the timestamp of the first unread record" in str(
        row.locator(".c-time span").get_attribute("title")
    )


def test_the_list_is_sorted_by_any_column_and_says_so(page: Page, server: Here) -> None:
    open_list(page, server)
    page.get_by_role("button", name="Lag", exact=True).click()
    assert names(page)[:2] == ["mail-sender", "fraud-scores"]
    expect(page.locator("th.c-lag").first).to_have_attribute("aria-sort", "descending")
    page.get_by_role("button", name="Lag", exact=True).click()
    assert names(page)[-1] == "mail-sender"
    page.reload()
    expect(page.locator("th.c-lag").first).to_have_attribute("aria-sort", "ascending")


def test_a_filter_narrows_the_list_and_is_in_the_address(page: Page, server: Here) -> None:
    open_list(page, server)
    page.keyboard.press("/")
    page.keyboard.type("SHIP")
    expect(page.locator("table.groups tbody tr")).to_have_count(1)
    expect(page.get_by_text("1 of 9 groups")).to_be_visible()
    assert page.url.endswith("/?q=SHIP")
    page.keyboard.press("Control+A")
    page.keyboard.type("nobody")
    expect(page.get_by_text("No group is like that.")).to_be_visible()


def test_a_sieve_shows_the_empty_ones_only(page: Page, server: Here) -> None:
    open_list(page, server)
    chip = page.get_by_role("button", name="Empty 1")
    chip.click()
    expect(chip).to_have_attribute("aria-pressed", "true")
    assert names(page) == ["audit"]


def test_news_change_the_list_in_place_and_keep_the_focus(
    page: Page, server: Here, stage: scenes.Stage
) -> None:
    open_list(page, server)
    page.get_by_role("link", name="billing").focus()
    stage.show(scenes.group("billing", now_ms(), lag=7_654, level=Level.GROWING))
    row = page.locator("tr", has=page.get_by_role("link", name="billing"))
    expect(row.locator(".c-lag")).to_have_text("7,654")
    expect(page.get_by_role("link", name="billing")).to_be_focused()


def test_a_deleted_group_vanishes_from_the_list_and_its_own_page_says_so(
    page: Page, context: BrowserContext, server: Here, stage: scenes.Stage
) -> None:
    open_list(page, server)
    other = context.new_page()
    wrong: list[str] = []
    other.on("pageerror", lambda error: wrong.append(str(error)))
    open_group(other, server, "/group/billing")
    stage.show(without="billing")
    expect(page.get_by_role("link", name="billing")).to_have_count(0)
    expect(other.locator(".gone")).to_be_visible()
    expect(other.locator(".gone")).to_contain_text("This group is gone")
    expect(other.locator(".tiles")).to_be_hidden()
    other.keyboard.press("r")
    stage.show(scenes.group("billing", now_ms()))
    expect(other.locator(".tiles")).to_be_visible()
    assert wrong == []


def test_a_thousand_groups_are_a_page_with_more_on_demand(
    page: Page, server: Here, stage: scenes.Stage
) -> None:
    at = now_ms()
    stage.show(*(scenes.group(f"team-{number:04}", at) for number in range(1000)))
    open_list(page, server)
    expect(page.get_by_text("1,009 groups")).to_be_visible()
    expect(page.locator("table.groups tbody tr")).to_have_count(200)
    page.get_by_role("button", name="Show 809 more").click()
    expect(page.locator("table.groups tbody tr")).to_have_count(1009)


# One group


def test_one_group_shows_its_life(page: Page, server: Here) -> None:
    open_group(page, server)
    expect(page.get_by_role("heading", name="orders", exact=True)).to_be_visible()
    expect(page.locator(".tile", has_text="Time lag").locator(".tile-value")).to_have_text("2.9s")
    rows = page.locator(".rows-box svg")
    expect(rows.locator(".bar-name", has_text="pod-7").first).to_be_visible()
    expect(rows.locator("rect.pause")).not_to_have_count(0)  # pod-6 was silent
    expect(rows.locator("rect.band")).not_to_have_count(0)
    log = page.locator(".log > li")
    expect(log).to_have_count(4)
    expect(log.nth(1)).to_contain_text("pod-6 was silent for its whole session timeout")
    expect(log.nth(1)).to_contain_text("took 8.0 s")
    log.nth(1).locator("summary").click()
    expect(log.nth(1)).to_contain_text("moved: orders 6, 7 from pod-6 to pod-5")


def test_a_rebalance_shows_while_it_goes_on_and_ends(page: Page, server: Here, stage: scenes.Stage) -> None:
    open_group(page, server)
    expect(page.locator(".banner")).to_be_hidden()
    stage.show(scenes.orders(now_ms(), rebalancing=True))
    banner = page.locator(".banner")
    expect(banner).to_contain_text("pod-8 took longer than max.poll.interval.ms between two polls")
    expect(banner).to_contain_text("3 of 12 partitions are not read; waiting for pod-5")
    before = float(banner.locator(".banner-clock").inner_text().removesuffix(" s"))
    wait_until(
        "the clock goes on",
        lambda: float(banner.locator(".banner-clock").inner_text().removesuffix(" s")) > before,
    )
    expect(page.locator("#said")).to_contain_text("orders rebalances")
    stage.show(scenes.orders(now_ms()))
    expect(banner).to_be_hidden()


def test_the_doctors_evidence_is_folded_and_its_command_can_be_copied(page: Page, server: Here) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_group(page, server)
    card = page.locator(".finding-card").first
    expect(card).to_contain_text("Partition orders-11 gets 61 % of all records")
    expect(card.locator(".evidence")).to_be_hidden()
    card.locator("summary").click()
    expect(card.get_by_text("records/s into orders-11")).to_be_visible()
    card.get_by_role("button", name=re.compile("Copy")).click()
    expect(card.get_by_role("button", name=re.compile("Copy"))).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == scenes.HOT.commands[0]


def test_what_was_opened_stays_open_while_news_come(page: Page, server: Here, stage: scenes.Stage) -> None:
    open_group(page, server)
    card = page.locator(".finding-card").first
    card.locator("summary").click()
    line = EvidenceLine("lag of orders-11", "9,999", "OffsetFetch")
    stage.show(replace(scenes.orders(now_ms()), findings=(replace(scenes.HOT, evidence=(line,)),)))
    expect(card.get_by_text("9,999")).to_be_visible()


def test_two_findings_about_the_same_partition_stay_two(
    page: Page, server: Here, stage: scenes.Stage
) -> None:
    """Such as two transactions that are open there."""

    def both(lag: str) -> tuple[Finding, ...]:
        line = EvidenceLine("lag of orders-11", lag, "OffsetFetch")
        return tuple(
            replace(scenes.HOT, words=f"{each} of {lag}", evidence=(line,)) for each in ("one", "two")
        )

    open_group(page, server)
    for lag in ("1", "2", "3"):
        stage.show(replace(scenes.orders(now_ms()), findings=both(lag)))
        expect(page.locator(".finding-title").first).to_have_text(f"one of {lag}")
        expect(page.locator(".finding-title")).to_have_text([f"one of {lag}", f"two of {lag}"])


def test_one_hair_goes_through_the_timeline_and_the_charts(page: Page, server: Here) -> None:
    open_group(page, server)
    box = page.locator(".rows-box").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 12)
    tip = page.locator(".tip")
    expect(tip).to_contain_text("pod-4, since")
    expect(tip).to_contain_text("in/out")
    hair, lag = page.locator(".hair").bounding_box(), page.locator(".board > svg").nth(1).bounding_box()
    assert hair is not None
    assert lag is not None
    assert hair["y"] + hair["height"] > lag["y"] + lag["height"]
    page.mouse.move(5, 5)
    expect(tip).to_be_hidden()


def test_every_panel_has_the_same_axis(page: Page, server: Here) -> None:
    """A panel that is scaled by a pixel would put the same moment elsewhere."""
    open_group(page, server)
    svgs = page.locator(".board svg")
    found = [svgs.nth(number).bounding_box() for number in range(svgs.count())]
    boxes = [box for box in found if box is not None]
    assert len(boxes) == 5
    for number, box in enumerate(boxes):
        view = str(svgs.nth(number).get_attribute("viewBox")).split()
        assert (box["x"], box["width"]) == (boxes[0]["x"], float(view[2]))


def test_a_drag_zooms_and_a_click_is_a_link_to_that_moment(page: Page, server: Here) -> None:
    open_group(page, server)
    box = page.locator(".rows-box").bounding_box()
    assert box is not None
    ticks = page.locator(".board > svg").last.text_content()
    y = box["y"] + 30
    page.mouse.move(box["x"] + 400, y)
    page.mouse.down()
    page.mouse.move(box["x"] + 600, y, steps=4)
    page.mouse.up()
    live = page.get_by_role("button", name="Live")
    expect(live).to_have_attribute("aria-pressed", "false")
    assert page.locator(".board > svg").last.text_content() != ticks
    page.mouse.click(box["x"] + 500, y)
    expect(page.locator(".pin")).to_be_visible()
    assert re.search(r"\?t=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", page.url)
    live.click()
    assert "?t=" not in page.url
    expect(live).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize("form", ["iso", "ms", "clock"])
def test_a_deep_link_shows_its_moment(page: Page, server: Here, form: str) -> None:
    page.goto(server.address)
    at = now_ms() - 90_000
    words = page.evaluate(
        """([at, form]) => { const date = new Date(at); const two = (n) => String(n).padStart(2, '0');
           return { iso: date.toISOString(), ms: String(at),
             clock: `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}` }[form] }""",
        [at, form],
    )
    open_group(page, server, f"/group/orders?t={quote(words)}")
    expect(page.locator(".pin")).to_be_visible()
    shown = page.evaluate("(at) => new Date(at).toTimeString().slice(0, 8)", at)
    expect(page.locator(".pin")).to_contain_text(shown)
    expect(page.get_by_role("button", name="Live")).to_have_attribute("aria-pressed", "false")


@pytest.mark.parametrize("moment", ["", "9" * 30, "-1", "<b>", "25:99:99"])
def test_a_moment_that_is_none_does_no_harm(page: Page, server: Here, moment: str) -> None:
    open_group(page, server, f"/group/orders?t={quote(moment)}")
    expect(page.locator(".bar-name").first).to_be_visible()


# Names of strangers


@pytest.mark.parametrize("name", scenes.NAUGHTY)
def test_a_name_is_only_ever_text(page: Page, server: Here, stage: scenes.Stage, name: str) -> None:
    """In the list, in a tab's title, in the page, in its log: and the link to it works."""
    at = now_ms()
    told = replace(
        scenes.orders(at),
        findings=(replace(scenes.HOT, words=name, commands=(name,), advice=name, doubts=name),),
    )
    members = tuple(replace(each, client_id=name) for each in told.facts.members)
    facts = replace(told.facts, group=name, members=members, assignor=name)
    stage.show(replace(told, facts=facts, events=()))
    open_list(page, server)
    link = page.get_by_role("link", name=name, exact=True)
    expect(link).to_have_text(name)
    link.click()
    expect(page.locator("h1")).to_have_text(name)
    expect(page.locator(".tiles")).to_be_visible()
    expect(page.locator(".finding-title").first).to_have_text(name)
    assert page.title() == f"{name} · Rota"
    page.reload()
    expect(page.locator("h1")).to_have_text(name)
    expect(page.locator(".tiles")).to_be_visible()
    assert page.title() == f"{name} · Rota"
    assert page.locator("main img, main script, main iframe").count() == 0
    width = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert width <= 0


# Without a mouse


def test_everything_can_be_done_by_keys(page: Page, server: Here) -> None:
    open_list(page, server)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    assert page.url == server.address + "/"
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("link", name="audit")).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("link", name="orders")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".tiles")).to_be_visible()
    page.keyboard.press("c")
    board = page.get_by_role("slider")
    expect(board).to_be_focused()
    for key in ("ArrowDown", "ArrowLeft", "ArrowLeft", "Shift+ArrowLeft"):
        page.keyboard.press(key)
    expect(board).to_have_attribute("aria-valuetext", re.compile(r"P0 pod-4, since \d\d:\d\d:\d\d"))
    page.keyboard.press("[")
    expect(board).to_have_attribute("aria-valuetext", re.compile("rebalance 4 pod-8 joined"))
    page.keyboard.press("Enter")
    assert "?t=" in page.url
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    assert "?t=" not in page.url
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("In the timeline")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(board).to_be_focused()
    page.keyboard.press("r")
    expect(page.get_by_role("dialog")).to_contain_text("Reset offsets of orders")
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    expect(page.get_by_role("heading", name="Groups")).to_be_visible()
    assert page.url == server.address + "/"


def test_what_has_the_focus_is_seen(page: Page, server: Here) -> None:
    open_group(page, server)
    for _ in range(40):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            """() => { const node = document.activeElement; const style = getComputedStyle(node);
               const seen = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
               return [node.outerHTML.slice(0, 80), seen]; }"""
        )
        if seen[0].startswith("<body"):
            break
        assert seen[1], seen[0]


def test_everything_that_can_be_used_has_a_name(page: Page, server: Here) -> None:
    for path in ("/", "/group/orders"):
        page.goto(server.address + path)
        expect(page.locator("main h1")).to_be_visible()
        expect(page.locator(".pulse")).to_have_attribute("data-is", "live")
        nameless = page.evaluate(
            """() => [...document.querySelectorAll('button, a, input, select, summary')]
               .filter((node) => node.checkVisibility())
               .filter((node) => !(node.getAttribute('aria-label') || node.innerText.trim() || node.title
                 || node.labels?.length && [...node.labels].some((label) => label.innerText.trim())))
               .map((node) => node.outerHTML.slice(0, 120))"""
        )
        assert nameless == []
        assert page.evaluate("document.querySelectorAll('h1').length") == 1
        assert page.evaluate("document.documentElement.lang") == "en"


# How it looks


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/group/orders"])
def test_text_has_contrast_in_light_and_dark(page: Page, server: Here, scheme: str, path: str) -> None:
    """4.5 to 1 at least (WCAG 2 AA), of everything that stands on a plain ground."""
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    page.goto(server.address + path)
    expect(page.locator(".pulse")).to_have_attribute("data-is", "live")
    expect(page.locator("html")).to_have_attribute("data-theme", scheme)
    assert json.loads(page.evaluate(CONTRAST)) == []


def test_the_theme_can_be_chosen_and_is_kept(page: Page, server: Here) -> None:
    page.emulate_media(color_scheme="light")
    open_list(page, server)
    page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name="Dark; change to light").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")


def test_consumers_differ_by_letter_and_pattern_not_by_colour_alone(page: Page, server: Here) -> None:
    open_group(page, server)
    legend = page.locator(".legend li").filter(has=page.locator(".swatch"))
    signs = [str(text) for text in legend.locator(".swatch-sign").all_text_contents()]
    fills = [
        legend.nth(number).locator("rect").last.get_attribute("fill") for number in range(legend.count())
    ]
    assert len(set(signs)) == len(signs) >= 4
    assert len(set(fills)) == len(fills)


@pytest.mark.parametrize("path", ["/", "/group/orders"])
def test_a_telephone_needs_no_sideways_scrolling(page: Page, server: Here, path: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(server.address + path)
    expect(page.locator(".pulse")).to_have_attribute("data-is", "live")
    expect(page.locator("main h1")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_paper_is_white_and_unfolds_everything(page: Page, server: Here) -> None:
    page.emulate_media(color_scheme="dark", media="print")
    open_group(page, server)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    expect(page.locator(".evidence").first).to_be_visible()
    expect(page.get_by_role("button", name="Reset offsets")).to_be_hidden()


# Trouble


def test_a_cluster_that_does_not_answer_is_said_and_the_last_look_stays(
    page: Page, server: Here, stage: scenes.Stage
) -> None:
    open_list(page, server)
    stage.fail(RotaError("no broker at broker-1.example:9092 answers"))
    expect(page.locator("#trouble")).to_have_text("no broker at broker-1.example:9092 answers")
    expect(page.locator("#pulse")).to_contain_text("cluster not reachable")
    assert "orders" in names(page)
    stage.fail(None)
    expect(page.locator("#trouble")).to_be_hidden()


def test_a_log_that_may_not_be_read_is_said(page: Page, server: Here, stage: scenes.Stage) -> None:
    open_group(page, server)
    expect(page.locator(".unread")).to_be_hidden()
    stage.log_failure = RotaError("reading __consumer_offsets needs Read on the topic")
    stage.show(scenes.orders(now_ms()))
    expect(page.locator(".unread")).to_contain_text("needs Read on the topic")
    stage.log_failure = None
    stage.show(scenes.orders(now_ms()))
    expect(page.locator(".unread")).to_be_hidden()


def test_a_group_that_is_not_there_is_said(page: Page, server: Here) -> None:
    page.goto(server.address + "/group/nobody")
    expect(page.locator(".gone", has_text="There is no group of this name.")).to_be_visible()
    page.locator(".gone").get_by_role("link", name="All groups").click()
    expect(page.get_by_role("link", name="orders")).to_be_visible()


def test_the_page_comes_back_when_the_server_does(page: Page) -> None:
    stage = scenes.Stage({"orders": scenes.orders(now_ms())})
    with Here(stage) as server:
        open_group(page, server)
        server.stop()
        expect(page.locator("#pulse")).to_contain_text(re.compile("reconnecting|not reachable"))
        expect(page.locator(".tiles")).to_be_visible()  # what was known is still read
        stage.show(scenes.orders(now_ms(), rebalancing=True))
        server.start()
        expect(page.locator("#pulse")).to_contain_text("live")
        expect(page.locator(".banner")).to_be_visible()


def test_nobody_is_asked_for_anything_elsewhere(page: Page, server: Here) -> None:
    """The page works without the internet: everything comes from this server."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_group(page, server)
    page.keyboard.press("?")
    assert asked
    assert [url for url in asked if not url.startswith(server.address)] == []


CONTRAST = """() => {
  const rgb = (text) => {
    const found = text.match(/[\\d.]+/g)?.map(Number) ?? [0, 0, 0, 0];
    return found.length > 3 ? found : [...found, 1];
  };
  const part = (value) => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const own = rgb(getComputedStyle(at).backgroundColor);
      if (own[3] === 1) return own;
    }
    return [255, 255, 255, 1];
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walk.nextNode(); text; text = walk.nextNode()) {
    const node = text.parentElement;
    const apart = node.closest('svg, .unseen, .skip, noscript, [disabled]');
    if (!text.data.trim() || !node.checkVisibility() || apart) continue;
    const pair = [light(rgb(getComputedStyle(node).color)), light(ground(node))];
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (ratio < 4.5) found.push(`${text.data.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return JSON.stringify(found);
}"""
