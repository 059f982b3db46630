"""The server without a browser: who is let in, what is sent, what a stream says, and what it costs to be slow."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest
from tests.kafka.ports import PATIENCE_S, wait_until
from tests.web import scenes
from tests.web.serving import Events, Here, ask, now_ms
from tests.web.test_story import told_of

from rota.model import RotaError
from rota.web.feed import difference
from rota.web.guard import host_name, is_loopback
from rota.web.server import check_token, listen

TOKEN = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def stage() -> scenes.Stage:
    return scenes.Stage({view.facts.group: view for view in scenes.fleet(now_ms())})


@pytest.fixture(scope="module")
def server(stage: scenes.Stage) -> Iterator[Here]:
    with Here(stage, hosts=("ops.example.com",)) as running:
        yield running


@pytest.fixture(scope="module")
def locked(stage: scenes.Stage) -> Iterator[Here]:
    with Here(stage, token=TOKEN) as running:
        yield running


# What is sent


def test_a_group_is_one_document(server: Here) -> None:
    found = ask(server.port, "/api/group?name=orders").json()
    assert sorted(found) == ["findings", "head", "history", "log", "members", "partitions", "timeline"]
    assert found["head"]["lag"] == 1204
    assert found["head"]["time"] == {"s": 2.9, "event_delay_s": 2.4, "method": "record", "quality": "exact"}
    assert [part["owner"] for part in found["partitions"]][::3] == ["pod-4", "pod-5", "pod-7", "pod-8"]
    row = found["timeline"]["rows"][6]
    assert [span[0] for span in row["spans"]] == ["pod-5", "pod-6", "pod-5", "pod-7"]
    assert [gap[2] for gap in row["gaps"]] == ["pod-6 was silent for its whole session timeout"]
    assert found["timeline"]["looks"].keys() == {"pod-4", "pod-5", "pod-6", "pod-7", "pod-8"}
    assert found["log"][0]["words"] == "pod-8 joined"


def test_the_list_has_a_row_for_each_group(server: Here) -> None:
    rows = {row["name"]: row for row in ask(server.port, "/api/groups").json()}
    assert len(rows) == 9
    assert rows["audit"]["finding"]["rule"] == "D01"
    assert rows["mail-sender"]["finding"]["count"] == 2
    assert len(rows["orders"]["trend"]) <= 32


def test_a_group_that_is_not_there_is_404(server: Here) -> None:
    answer = ask(server.port, "/api/group?name=nobody")
    assert (answer.status, answer.text) == (404, "there is no group of this name\n")


def is_in_the_log(server: Here, words: str) -> bool:
    return words in str(ask(server.port, "/api/group?name=orders").json()["log"])


def test_what_is_learnt_later_of_a_rebalance_is_told(stage: scenes.Stage, server: Here) -> None:
    """Nothing has happened since: how many records had to wait is known with the next look."""
    view = scenes.orders(now_ms())
    known = told_of(view, wait_ms=3_000)
    for records, words in ((None, "(without an owner)"), (7, "7 records came meanwhile")):
        told = replace(known, cost=replace(known.cost, records=records))
        stage.show(replace(view, told=(told,)))
        wait_until(words, partial(is_in_the_log, server, words))
    stage.show(scenes.orders(now_ms()))


def test_whoever_asks_for_many_that_are_not_there_fills_no_memory(server: Here) -> None:
    for number in range(20):
        ask(server.port, f"/api/group?name=nobody-{number}")
    look = server.site.feed.latest
    assert not [name for name in look.frames if name.startswith("nobody")]


@pytest.mark.parametrize("name", scenes.NAUGHTY)
def test_no_name_breaks_a_document(stage: scenes.Stage, server: Here, name: str) -> None:
    from urllib.parse import quote

    stage.show(scenes.group(name, now_ms()))
    wait_until(
        "it is there", lambda: ask(server.port, f"/api/group?name={quote(name, safe='')}").status == 200
    )
    assert ask(server.port, f"/api/group?name={quote(name, safe='')}").json()["head"]["name"] == name
    stage.show(without=name)


def test_what_is_no_number_is_unknown(stage: scenes.Stage, server: Here) -> None:
    """Neither NaN nor infinity is JSON."""
    odd = scenes.group("odd", now_ms(), lag=5, seconds=float("nan"))
    stage.show(odd)
    wait_until("it is there", lambda: ask(server.port, "/api/group?name=odd").status == 200)
    assert ask(server.port, "/api/group?name=odd").json()["head"]["time"]["s"] is None
    stage.show(without="odd")


@pytest.mark.parametrize(
    "path", ["/static/main.js", "/static/base.css", "/static/icon.svg", "/", "/group/a%2Fb", "/group?name=.."]
)
def test_a_page_is_sent_once_and_then_only_if_it_changed(server: Here, path: str) -> None:
    first = ask(server.port, path)
    assert first.status == 200
    assert first.body
    again = ask(server.port, path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/static/..%2f__init__.py",
        "/static/../app.py",
        "/static/",
        "/static/nothing.js",
        "/favicon.ico",
        "//x",
    ],
)
def test_what_is_not_there_is_not_looked_for(server: Here, path: str) -> None:
    assert ask(server.port, path).status == 404


def test_every_answer_forbids_scripts_frames_and_guesses(server: Here) -> None:
    for path in ("/", "/static/main.js", "/api/session", "/api/group?name=nobody", "/nothing"):
        headers = ask(server.port, path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        assert "server" not in headers


# Streams


def test_a_stream_says_what_is_different(stage: scenes.Stage, server: Here) -> None:
    with Events(server.port) as events:
        first = events.next()
        assert first["whole"]
        assert {"orders", "audit"} <= first["set"].keys()
        stage.show(scenes.group("billing", now_ms(), lag=77))
        second = events.next()
        assert not second["whole"]
        assert list(second["set"]) == ["billing"]
        stage.show(without="shipping")
        assert events.next()["gone"] == ["shipping"]
    stage.show(scenes.group("shipping", now_ms()))


def test_whoever_comes_back_is_told_the_difference_only(stage: scenes.Stage, server: Here) -> None:
    with Events(server.port) as events:
        events.next()
        last_id = events.last_id
    stage.show(scenes.group("billing", now_ms(), lag=78))
    with Events(server.port, last_id=last_id) as events:
        news = events.next()
        assert (news["whole"], list(news["set"])) == (False, ["billing"])


@pytest.mark.parametrize(
    "last_id", ["", "x", "abcdef01.1", ".", "9" * 5000, "é", "{boot}.999999", "{boot}.-1", "{boot}.¹"]
)
def test_an_id_that_is_not_known_begins_anew(server: Here, last_id: str) -> None:
    said = last_id.replace("{boot}", server.site.feed.boot).encode().decode("latin-1")
    with Events(server.port, last_id=said) as events:
        assert events.next()["whole"]


def test_a_group_that_nobody_watches_is_not_looked_at_closely(stage: scenes.Stage, server: Here) -> None:
    with Events(server.port, "orders") as events:
        events.next()
        wait_until("orders is looked at closely", lambda: stage.closely == {"orders"})
    stage.show(scenes.orders(now_ms()))  # the end of a connection is found by writing to it
    wait_until("nobody looks any more", lambda: stage.closely == frozenset())


def test_a_failure_of_the_cluster_is_told_and_taken_back(stage: scenes.Stage, server: Here) -> None:
    with Events(server.port) as events:
        events.next()
        stage.fail(RotaError("no broker answers"))
        assert events.next()["failure"] == "no broker answers"
        stage.fail(None)
        assert events.next()["failure"] is None


def test_a_browser_that_reads_nothing_holds_up_nobody(stage: scenes.Stage, server: Here) -> None:
    """Its stream waits with one message; others go on, and it gets what is newest when it reads again."""
    big = [scenes.group(f"big-{number}", now_ms()) for number in range(600)]
    stage.show(*big)
    slow = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S)
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.sendall(b"GET /api/events?group= HTTP/1.1\r\nHost: localhost\r\n\r\n")
    try:
        with Events(server.port) as events:
            events.next()
            for turn in range(12):
                stage.show(*(scenes.group(f"big-{number}", now_ms(), lag=turn + 1) for number in range(600)))
                while events.next()["set"].get("big-599", {}).get("lag") != turn + 1:
                    pass
        assert len(server.site.feed._looks) <= 4
        kept = slow.recv(1 << 16)
        while b'"lag":12' not in kept[-400_000:]:
            kept += slow.recv(1 << 16)
        assert kept.count(b"data: ") < 12
    finally:
        slow.close()
        for view in big:
            stage.show(without=view.facts.group)


def test_a_server_that_ends_does_not_wait_for_browsers(stage: scenes.Stage) -> None:
    with Here(stage) as running, Events(running.port) as events:
        events.next()
        began = time.monotonic()
        running.stop()
        assert time.monotonic() - began < PATIENCE_S / 2
        assert events.line() in ("", "\n")
        running.start()


def test_there_is_a_most_of_streams(stage: scenes.Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rota.web.app.MOST_STREAMS", 2)
    with Here(stage) as running, Events(running.port) as one, Events(running.port) as other:
        one.next()
        other.next()
        answer = ask(running.port, "/api/events?group=")
        assert (answer.status, answer.text) == (503, "2 pages are open already: close one\n")


def test_a_difference_has_the_changed_and_the_gone() -> None:
    assert difference({"a": b"1", "b": b"2"}, {"b": b"3", "c": b"4"}) == ({"b": b"3", "c": b"4"}, ["a"])


# Who is let in


@pytest.mark.parametrize(
    "host",
    ["evil.example.com", "rota.evil.com:{port}", "", "127.0.0.1.evil.com", "a b", "[::1", "localhost:x"],
)
def test_a_name_that_is_not_ours_is_refused(server: Here, host: str) -> None:
    """DNS rebinding: a stranger's page whose name points at this machine."""
    answer = ask(server.port, "/api/groups", host=host.replace("{port}", str(server.port)))
    assert answer.status in (400, 421)
    assert "orders" not in answer.text


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:{port}", "[::1]:{port}", "OPS.example.com", "192.168.1.7:{port}"]
)
def test_our_own_names_are_known(server: Here, host: str) -> None:
    assert ask(server.port, "/api/groups", host=host.replace("{port}", str(server.port))).status == 200


@pytest.mark.parametrize(
    ("authority", "name"),
    [
        ("Localhost:80", "localhost"), ("a.b", "a.b"), ("[::1]:7", "::1"), ("[::1]", "::1"), ("1.2.3.4:x", ""),
        ("", ""), (":80", ""), ("::1", ""), ("a:b:80", ""), ("ops.example.com.", "ops.example.com"),
    ],
)  # fmt: skip
def test_the_host_of_an_authority(authority: str, name: str) -> None:
    assert host_name(authority) == name


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_may_not_ask_for_data(server: Here, site: str) -> None:
    assert ask(server.port, "/api/groups", headers={"Sec-Fetch-Site": site}).status == 403
    assert ask(server.port, "/", headers={"Sec-Fetch-Site": site}).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.example.com"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:{port}"},
        {"Origin": "http://127.0.0.1:{port}", "X-Rota-Change": "wrong"},
        {"Origin": "http://evil.example.com", "X-Rota-Change": "{secret}"},
        {"X-Rota-Change": "{secret}"},
    ],
)
def test_a_change_must_come_from_the_page_itself(server: Here, headers: dict[str, str]) -> None:
    secret = ask(server.port, "/api/session").json()["secret"]
    said = {key: value.format(port=server.port, secret=secret) for key, value in headers.items()}
    said["Content-Type"] = "application/json"
    answer = ask(server.port, "/api/reset/preview", method="POST", headers=said, body=b"{}")
    assert (answer.status, answer.text) == (403, "this did not come from Rota's own page: load it again\n")


def own(server: Here) -> dict[str, str]:
    secret = ask(server.port, "/api/session").json()["secret"]
    origin = f"http://127.0.0.1:{server.port}"
    return {"Origin": origin, "X-Rota-Change": secret, "Content-Type": "application/json"}


def test_where_nothing_can_be_changed_that_is_said(server: Here) -> None:
    answer = ask(server.port, "/api/reset/execute", method="POST", headers=own(server), body=b"{}")
    assert (answer.status, answer.text) == (403, "nothing can be changed here\n")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BREW"])
def test_other_methods_are_refused(server: Here, method: str) -> None:
    assert ask(server.port, "/api/groups", method=method).status == 405


def test_a_post_where_nothing_is_posted_is_refused(server: Here) -> None:
    assert ask(server.port, "/api/groups", method="POST", headers=own(server), body=b"").status == 405


# The token


def test_without_the_token_nothing_is_told(locked: Here) -> None:
    answer = ask(locked.port, "/group/orders?t=12:00")
    assert (answer.status, answer.headers["location"]) == (303, "/login?to=%2Fgroup%2Forders%3Ft%3D12%253A00")
    for path in ("/api/groups", "/api/group?name=orders", "/api/session", "/api/events?group="):
        refused = ask(locked.port, path)
        assert refused.status == 401
        assert "orders" not in refused.text
    assert ask(locked.port, "/login").status == 200


@pytest.mark.parametrize("said", ["", "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "é" * 9])
def test_a_wrong_token_is_refused_however_it_comes(locked: Here, said: str) -> None:
    from urllib.parse import quote

    address = ask(locked.port, f"/?token={quote(said)}")
    assert (address.status, "set-cookie" in address.headers) == (303, False)
    assert address.headers["location"].startswith("/login?")
    bearer = {"Authorization": b"Bearer ".decode() + said.encode().decode("latin-1")}
    assert ask(locked.port, "/api/groups", headers=bearer).status == 401
    form = {"Origin": f"http://127.0.0.1:{locked.port}", "Content-Type": "application/x-www-form-urlencoded"}
    posted = ask(
        locked.port, "/login", method="POST", headers=form, body=f"token={quote(said)}&to=/group/a".encode()
    )
    assert (posted.status, posted.headers["location"], "set-cookie" in posted.headers) == (
        303,
        "/login?to=%2Fgroup%2Fa&wrong=1",
        False,
    )


def test_the_token_in_the_address_becomes_a_cookie_and_leaves_the_address(locked: Here) -> None:
    answer = ask(locked.port, f"/group/a%2Fb?t=12&token={TOKEN}")
    assert (answer.status, answer.headers["location"]) == (303, "/group/a%2Fb?t=12")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert TOKEN not in cookie
    assert ask(locked.port, "/api/groups", headers={"Cookie": cookie.split(";")[0]}).status == 200


def test_a_program_says_the_token_in_a_header(locked: Here) -> None:
    assert ask(locked.port, "/api/groups", headers={"Authorization": f"Bearer {TOKEN}"}).status == 200


def test_the_form_takes_the_token_and_leads_on(locked: Here) -> None:
    form = {"Origin": f"http://127.0.0.1:{locked.port}", "Content-Type": "application/x-www-form-urlencoded"}
    body = f"token={TOKEN}&to=/group/orders".encode()
    answer = ask(locked.port, "/login", method="POST", headers=form, body=body)
    assert (answer.status, answer.headers["location"]) == (303, "/group/orders")
    assert "set-cookie" in answer.headers


@pytest.mark.parametrize(
    "to", ["//evil.example.com", "https://evil.example.com", "/\\evil.example.com", "evil"]
)
def test_the_form_leads_nowhere_else(locked: Here, to: str) -> None:
    form = {"Origin": f"http://127.0.0.1:{locked.port}", "Content-Type": "application/x-www-form-urlencoded"}
    answer = ask(locked.port, "/login", method="POST", headers=form, body=f"token={TOKEN}&to={to}".encode())
    assert answer.headers["location"] == "/"


def test_a_form_of_another_site_is_refused(locked: Here) -> None:
    for origin, site in (("http://evil.example.com", "cross-site"), ("null", "cross-site"), ("null", "none")):
        form = {"Origin": origin, "Sec-Fetch-Site": site, "Content-Type": "application/x-www-form-urlencoded"}
        answer = ask(locked.port, "/login", method="POST", headers=form, body=f"token={TOKEN}".encode())
        assert answer.status == 403


def test_an_address_with_two_slashes_leads_to_no_other_machine(locked: Here) -> None:
    answer = ask(locked.port, f"//evil.example.com/?token={TOKEN}")
    assert answer.headers["location"].startswith("/evil.example.com/")


@pytest.mark.parametrize(
    ("host", "asked"),
    [("127.0.0.1", False), ("::1", False), ("localhost", False), ("0.0.0.0", True), ("10.0.0.3", True)],
)
def test_only_this_machine_needs_no_token(host: str, asked: bool) -> None:
    assert is_loopback(host) is not asked
    made = check_token(host, None)
    assert (made is not None) is asked
    assert made is None or len(made) >= 32
    assert check_token(host, TOKEN) == TOKEN


@pytest.mark.parametrize("token", ["", "short", "with a space in it", "é" * 20, "line\nbreak-line-break"])
def test_a_token_that_is_none_is_refused(token: str) -> None:
    with pytest.raises(RotaError, match="at least 16 ASCII letters"):
        check_token("127.0.0.1", token)


def test_a_port_that_is_taken_is_said(server: Here) -> None:
    with pytest.raises(
        RotaError, match=f"cannot listen on 127.0.0.1:{server.port}: .* choose another --port"
    ):
        listen("127.0.0.1", server.port)
    with pytest.raises(RotaError, match="there is no such address"):
        listen("no.such.host.invalid", 0)


# Rubbish


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET " + b"/x" * 40_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example.com\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /api/reset/preview HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
    ],
)
def test_rubbish_gets_an_error_and_the_server_goes_on(server: Here, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as raw:
        raw.sendall(sent)
        raw.shutdown(socket.SHUT_WR)
        said = b""
        while piece := raw.recv(65_536):
            said += piece
    assert said == b"" or int(said.split()[1]) >= 400
    assert ask(server.port, "/api/session").status == 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"[]", "no JSON object"),
        (b"[" * 100_000, "no JSON"),
        (b"\xff", "no JSON"),
        (json.dumps({"group": "x" * 300_000}).encode(), "longer than 262,144 bytes"),
        (b"{}", "the request says no 'group'"),
        (b'{"group": 5}', "the request says no 'group'"),
        (b'{"group": "a\\ud800"}', "the request says no 'group'"),
    ],
)
def test_a_request_that_is_none_is_refused_in_one_line(body: bytes, words: str) -> None:
    from rota.admin import Admin
    from rota.web.changes import Changes

    with Here(scenes.Stage({}), changes=Changes(Admin("127.0.0.1:1"), allowed=True)) as running:
        answer = ask(running.port, "/api/reset/preview", method="POST", headers=own(running), body=body)
    assert answer.status == 400
    assert words in answer.text
    assert answer.text.count("\n") == 1
