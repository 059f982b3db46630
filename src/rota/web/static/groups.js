// The list of groups: sorted, filtered, live.

import { Rows, fill, h, mark, put, s } from "./dom.js";
import { live } from "./live.js";
import { LEVELS, NONE, SEVERITIES, count, exact, late, lateWords, many, rate } from "./words.js";

const SHOWN = 200; // rows at once; more on demand

const RANK = { critical: 0, warning: 1, info: 2 };
const URGENCY = { "very large": 0, growing: 1, stable: 2, falling: 3, unknown: 4, "caught up": 5 };

// name, key, which way first, what to sort by
const COLUMNS = [
  ["Group", "name", 1, (row) => row.name.toLowerCase()],
  ["State", "state", 1, (row) => row.state],
  ["Members", "members", -1, (row) => row.members],
  ["Parts", "partitions", -1, (row) => row.partitions],
  ["Lag", "lag", -1, (row) => row.lag],
  ["Time lag", "time", -1, (row) => row.time.s ?? -1],
  ["Trend", "trend", 1, (row) => URGENCY[row.rates.level] ?? 9],
  ["In/s", "in", -1, (row) => row.rates.in ?? -1],
  ["Out/s", "out", -1, (row) => row.rates.out ?? -1],
  ["Finding", "finding", 1, (row) => (row.finding ? RANK[row.finding.severity] : 9)],
];

const SIEVES = [
  ["all", "All", () => true],
  ["wrong", "With findings", (row) => row.finding && row.finding.severity !== "info"],
  ["moving", "Rebalancing", (row) => row.rebalancing],
  ["growing", "Lag growing", (row) => row.rates.level === "growing" || row.rates.level === "very large"],
  ["empty", "Empty", (row) => row.members === 0],
];

export class GroupsPage {
  constructor(go, pathOf) {
    const asked = new URLSearchParams(location.search);
    this.go = go;
    this.pathOf = pathOf;
    this.filter = asked.get("q") ?? "";
    this.sieve = SIEVES.some(([key]) => key === asked.get("only")) ? asked.get("only") : "all";
    this.sort = COLUMNS.find(([, key]) => key === asked.get("sort"))?.[1] ?? "finding";
    this.way = asked.get("way") === "down" ? -1 : asked.get("way") === "up" ? 1 : COLUMNS.find(([, key]) => key === this.sort)[2];
    this.most = SHOWN;
    this.node = this.build();
  }

  build() {
    this.count = h("span", { class: "dim" });
    this.field = h("input", {
      type: "search",
      value: this.filter,
      placeholder: "Filter by name",
      "aria-label": "Filter groups by name",
      autocomplete: "off",
      spellcheck: "false",
      oninput: () => this.change({ filter: this.field.value }),
      onkeydown: (event) => {
        if (event.key === "ArrowDown" || event.key === "Enter") {
          event.preventDefault();
          this.move(0, true);
        }
      },
    });
    this.sieves = SIEVES.map(([key, name]) => {
      const number = h("b");
      const node = h("button", { type: "button", class: "chip", onclick: () => this.change({ sieve: key }) }, name, " ", number);
      return { key, node, number };
    });
    this.heads = COLUMNS.map(([name, key]) => {
      const node = h("th", { scope: "col", class: `c-${key}` }, h("button", { type: "button", onclick: () => this.order(key) }, name, h("i", { "aria-hidden": "true" })));
      return { key, node };
    });
    this.body = h("tbody");
    this.rows = new Rows(this.body, (row) => row.name, (row) => this.row(row));
    this.more = h("button", { type: "button", class: "soft", hidden: true, onclick: () => this.change({ most: this.most + 1000 }) });
    this.empty = h("p", { class: "waiting", hidden: true });
    return h(
      "div",
      { class: "page" },
      h("div", { class: "page-head" }, h("h1", null, "Groups"), this.count, h("span", { class: "space" }), h("label", { class: "find" }, this.field, h("kbd", { "aria-hidden": "true" }, "/"))),
      h("div", { class: "chips", role: "group", "aria-label": "Show" }, this.sieves.map((each) => each.node)),
      h(
        "div",
        { class: "card scroll-x" },
        h("table", { class: "groups" }, h("caption", { class: "unseen" }, "Consumer groups"), h("thead", null, h("tr", null, this.heads.map((each) => each.node))), this.body),
        this.empty,
      ),
      this.more,
    );
  }

  change(wanted) {
    Object.assign(this, wanted);
    const query = new URLSearchParams();
    if (this.filter) query.set("q", this.filter);
    if (this.sieve !== "all") query.set("only", this.sieve);
    if (this.sort !== "finding" || this.way !== 1) {
      query.set("sort", this.sort);
      query.set("way", this.way > 0 ? "up" : "down");
    }
    const text = query.toString();
    history.replaceState(null, "", text ? `/?${text}` : "/");
    this.update();
  }

  order(key) {
    const way = this.sort === key ? -this.way : COLUMNS.find(([, own]) => own === key)[2];
    this.change({ sort: key, way });
  }

  update() {
    const every = [...live.parts.values()];
    const needle = this.filter.trim().toLowerCase();
    const named = every.filter((row) => row.name.toLowerCase().includes(needle));
    for (const { key, node, number } of this.sieves) {
      put(number, named.filter(SIEVES.find(([own]) => own === key)[2]).length);
      mark(node, "aria-pressed", String(key === this.sieve));
    }
    const kept = named.filter(SIEVES.find(([key]) => key === this.sieve)[2]);
    const value = COLUMNS.find(([, key]) => key === this.sort)[3];
    kept.sort((one, other) => this.way * compare(value(one), value(other)) || URGENCY[one.rates.level] - URGENCY[other.rates.level] || other.lag - one.lag || compare(one.name, other.name));
    for (const { key, node } of this.heads) mark(node, "aria-sort", key === this.sort ? (this.way > 0 ? "ascending" : "descending") : null);
    const focused = document.activeElement?.closest?.("tr");
    this.rows.show(kept.slice(0, this.most));
    if (focused && this.body.contains(focused)) focused.querySelector("a").focus({ preventScroll: true });
    put(this.count, kept.length === every.length ? many(every.length, "group") : `${exact(kept.length)} of ${many(every.length, "group")}`);
    this.more.hidden = kept.length <= this.most;
    put(this.more, `Show ${exact(Math.min(1000, kept.length - this.most))} more`);
    this.empty.hidden = kept.length > 0;
    put(this.empty, !live.looked ? "Looking at the cluster …" : every.length ? "No group is like that." : "This cluster has no groups yet. They appear with their first consumer.");
  }

  row(first) {
    const cell = (key, ...inner) => h("td", { class: `c-${key}` }, inner);
    const link = h("a", { href: this.pathOf(first.name), "data-link": true, title: first.name }, first.name);
    const state = h("span", { class: "state" });
    const type = h("span", { class: "kind" });
    const [members, parts, lag, time, incoming, outgoing] = Array.from({ length: 6 }, () => h("span"));
    const trend = spark();
    const level = h("span", { class: "level" });
    const finding = h("span", { class: "finding" });
    const node = h(
      "tr",
      { onclick: (event) => event.target.closest("a, button") || getSelection().toString() || this.go(this.pathOf(first.name)) },
      h("th", { scope: "row", class: "c-name" }, link, type),
      cell("state", state),
      cell("members", members),
      cell("partitions", parts),
      cell("lag", lag),
      cell("time", time),
      cell("trend", trend.node, level),
      cell("in", incoming),
      cell("out", outgoing),
      cell("finding", finding),
    );
    const update = (row) => {
      put(type, row.type.toLowerCase());
      put(state, row.state);
      mark(state, "data-state", row.rebalancing ? "moving" : row.state);
      put(members, exact(row.members));
      put(parts, exact(row.partitions));
      put(lag, count(row.lag));
      mark(lag, "title", `${many(row.lag, "record")}${row.worst ? `, most in ${row.worst}` : ""}${row.uncommitted ? `; ${many(row.uncommitted, "partition")} without a commit` : ""}${row.unknown ? `; ${row.unknown} unknown` : ""}`);
      put(time, late(row.time));
      mark(time, "title", lateWords(row.time));
      trend.draw(row.trend);
      mark(trend.node, "data-level", row.rates.level);
      put(level, `${LEVELS[row.rates.level] ?? ""} ${row.rates.level}`);
      mark(level, "data-level", row.rates.level);
      put(incoming, rate(row.rates.in));
      put(outgoing, rate(row.rates.out));
      showFinding(finding, row.finding);
    };
    return { node, update };
  }

  // Keys of the list; true when one was meant for it.
  key(event) {
    if (event.key === "/") {
      this.field.focus();
      this.field.select();
      return true;
    }
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: 10, PageUp: -10 }[event.key];
    if (step) return this.move(step);
    if (event.key === "Home") return this.move(0, true);
    if (event.key === "End") return this.move(0, false, true);
    return false;
  }

  move(step, first = false, last = false) {
    const links = [...this.body.querySelectorAll("th a")];
    if (!links.length) return false;
    const at = links.indexOf(document.activeElement);
    const wanted = first ? 0 : last ? links.length - 1 : at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + step, 0), links.length - 1);
    links[wanted].focus();
    links[wanted].scrollIntoView({ block: "nearest" });
    return true;
  }

  close() {}
}

function compare(one, other) {
  return one < other ? -1 : one > other ? 1 : 0;
}

function showFinding(node, finding) {
  const key = finding ? `${finding.rule}|${finding.words}|${finding.count}` : "";
  if (node.dataset.key === key) return;
  node.dataset.key = key;
  if (!finding) return void fill(node, h("span", { class: "dim none" }, NONE));
  fill(
    node,
    h("span", { class: "sign", "data-severity": finding.severity, "aria-label": finding.severity }, SEVERITIES[finding.severity]),
    h("span", { class: "finding-words", title: finding.words }, finding.words),
    finding.count > 1 && h("span", { class: "dim", title: `${finding.count} findings` }, ` +${finding.count - 1}`),
  );
}

// A line of the last values, from 0 up.
function spark() {
  const line = s("polyline", { class: "spark-line" });
  const area = s("polygon", { class: "spark-area" });
  const node = s("svg", { class: "spark", viewBox: "0 0 96 22", width: 96, height: 22, "aria-hidden": "true", preserveAspectRatio: "none" }, area, line);
  let drawn = "";
  const draw = (values) => {
    const key = values.join();
    if (key === drawn) return;
    drawn = key;
    const known = values.map((value, place) => [place, value]).filter(([, value]) => value !== null);
    const top = Math.max(1, ...known.map(([, value]) => value));
    const points = known.map(([place, value]) => [(place / Math.max(values.length - 1, 1)) * 94 + 1, 20 - (value / top) * 18]);
    const text = points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
    mark(line, "points", points.length > 1 ? text : "");
    mark(area, "points", points.length > 1 ? `${points[0][0].toFixed(1)},22 ${text} ${points.at(-1)[0].toFixed(1)},22` : "");
  };
  return { node, draw };
}
