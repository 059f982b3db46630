// One group: what it is doing now, its timeline, partitions, members, findings and log.

import { Chart } from "./chart.js";
import { announce, fill, h, mark, put } from "./dom.js";
import { live } from "./live.js";
import { showReset } from "./reset.js";
import { Findings, Log } from "./side.js";
import { Members, Partitions } from "./tables.js";
import { LEVELS, NONE, age, clock, count, exact, late, lateWords, many, moment, momentText, rate } from "./words.js";

const MOVED = "moving";

export class GroupPage {
  constructor(name, go) {
    this.name = name;
    this.go = go;
    this.chart = new Chart((ms) => this.remember(ms));
    this.partitions = new Partitions((text) => this.chart.sieve(text));
    this.members = new Members();
    this.findings = new Findings();
    this.log = new Log((ms) => this.choose(ms));
    this.known = false;
    this.seen = false; // ever, on this page
    this.node = this.build();
    this.timer = setInterval(() => this.clockBanner(), 200);
  }

  close() {
    clearInterval(this.timer);
    this.chart.close();
  }

  build() {
    this.state = h("span", { class: "state" });
    this.about = h("p", { class: "about dim" });
    this.resetButton = h("button", { type: "button", class: "soft", title: "The plan first (r)", onclick: () => this.reset() }, "Reset offsets …");
    this.tiles = Object.fromEntries(["lag", "time", "rates", "eta", "members"].map((key) => [key, tile()]));
    this.banner = h("div", { class: "banner", role: "status", hidden: true }, h("b", { class: "banner-clock" }), h("div", null, h("p", { class: "banner-words" }), h("p", { class: "banner-more" })));
    this.gone = h("div", { class: "gone", role: "status", hidden: true });
    this.content = h(
      "div",
      { class: "columns" },
      h("div", { class: "column main-column" }, this.chart.node, this.partitions.node, this.members.node),
      h("aside", { class: "column side-column", "aria-label": "Findings and log" }, this.findings.node, this.log.node),
    );
    this.body = h("div", { hidden: true }, this.banner, h("div", { class: "tiles" }, Object.values(this.tiles).map((each) => each.node)), this.content);
    this.waiting = h("p", { class: "waiting" }, "Looking at the group …");
    return h(
      "div",
      { class: "page group-page" },
      h("nav", { class: "crumbs", "aria-label": "Where you are" }, h("a", { href: "/", "data-link": true }, "Groups"), h("span", { "aria-hidden": "true" }, "/")),
      h("div", { class: "page-head" }, h("h1", { class: "group-name", title: this.name }, this.name), this.state, h("span", { class: "space" }), this.resetButton),
      this.about,
      this.gone,
      this.waiting,
      this.body,
    );
  }

  update(changed, whole) {
    const parts = live.parts;
    const head = parts.get("head");
    this.waiting.hidden = live.looked;
    if (!head) return this.vanish();
    this.gone.hidden = true;
    this.body.hidden = false;
    this.resetButton.disabled = false;
    const was = this.head;
    this.head = head;
    this.showHead(head);
    if (was && was.rebalancing !== head.rebalancing) announce(head.rebalancing ? `${this.name} rebalances: ${head.rebalance?.words ?? head.state}` : `${this.name} is ${head.state} again`);
    const looks = parts.get("timeline").looks;
    const all = whole || !this.known;
    if (all || changed.has("timeline") || changed.has("history")) this.chart.show(parts.get("timeline"), parts.get("history"));
    if (all || changed.has("timeline") || changed.has("partitions")) this.partitions.show(parts.get("partitions"), looks);
    if (all || changed.has("timeline") || changed.has("members")) this.members.show(parts.get("members"), looks, head);
    if (all || changed.has("findings")) this.findings.show(parts.get("findings"));
    if (all || changed.has("log") || live.logFailure !== this.unread) this.log.show(parts.get("log"), live.logFailure);
    this.unread = live.logFailure;
    if (!this.known) {
      this.known = this.seen = true;
      this.toMoment();
    }
  }

  vanish() {
    const words = this.seen ? "This group is gone: it was deleted, or its last offsets expired." : "There is no group of this name.";
    fill(this.gone, h("p", null, words), h("p", null, h("a", { href: "/", "data-link": true }, "All groups")));
    this.gone.hidden = !live.looked;
    this.body.hidden = true;
    this.resetButton.disabled = true;
    put(this.state, "");
    put(this.about, "");
    if (this.known) announce(words);
    this.known = false;
    this.head = null;
  }

  showHead(head) {
    put(this.state, head.state);
    mark(this.state, "data-state", head.rebalancing ? MOVED : head.state);
    const epoch = head.epoch === null ? null : head.type === "Consumer" ? `epoch ${head.epoch}${head.target_epoch !== null && head.target_epoch !== head.epoch ? ` → ${head.target_epoch}` : ""}` : `generation ${head.epoch}`;
    put(this.about, [head.type.toLowerCase(), head.assignor, epoch, head.coordinator && `coordinator ${head.coordinator}`, head.state_since_ms && `${head.state} since ${clock(head.state_since_ms)}`].filter(Boolean).join(" · "));
    const { rates } = head;
    this.tiles.lag.show("Lag", count(head.lag), `${LEVELS[rates.level]} ${rates.level}`, many(head.lag, "record"), rates.level);
    this.tiles.time.show("Time lag", late(head.time), head.worst ? `worst in ${head.worst}` : "", lateWords(head.time));
    this.tiles.rates.show("Produced / consumed", `${rate(rates.in)} / ${rate(rates.out)}`, "records per second");
    this.tiles.eta.show("Caught up in", ...caughtUp(head));
    const notes = [head.idle && `${head.idle} idle`, head.uncommitted && `${head.uncommitted} uncommitted`, head.unknown && `${head.unknown} unknown`].filter(Boolean);
    this.tiles.members.show("Members / partitions", `${exact(head.members)} / ${exact(head.partitions)}`, notes.join(", ") || many(head.topics.length, "topic"));
    this.banner.hidden = !head.rebalancing;
    if (head.rebalancing) {
      const now = head.rebalance;
      put(this.banner.querySelector(".banner-words"), now?.words || "The group shares out its partitions anew");
      const more = [now?.paused && `${now.paused} of ${head.partitions} partitions are not read`, now?.waiting_for.length && `waiting for ${now.waiting_for.join(", ")}`].filter(Boolean);
      put(this.banner.querySelector(".banner-more"), more.join("; "));
    }
    this.clockBanner();
  }

  clockBanner() {
    const head = this.head;
    if (!head?.rebalancing) return;
    const since = head.rebalance?.started_ms ?? head.state_since_ms;
    put(this.banner.querySelector(".banner-clock"), since ? clockWords((live.now() - since) / 1000) : head.state);
  }

  // Moments

  toMoment() {
    const asked = new URLSearchParams(location.search).get("t");
    const ms = asked === null ? null : moment(asked, live.now());
    if (ms !== null) this.chart.at(ms);
  }

  remember(ms) {
    const query = new URLSearchParams(location.search);
    if (ms === null) query.delete("t");
    else query.set("t", momentText(ms));
    const text = query.toString().replaceAll("%3A", ":");
    history.replaceState(null, "", text ? `${location.pathname}?${text}` : location.pathname);
    if (ms !== null) announce(`${clock(ms)} is in the address.`);
  }

  choose(ms) {
    this.chart.at(ms);
    this.remember(ms);
    this.chart.node.scrollIntoView({ block: "nearest" });
  }

  reset() {
    if (this.head) showReset(this.name, live.parts.get("partitions"));
  }

  key(event) {
    const ranges = { 1: 60000, 2: 300000, 3: 900000, 4: 3600000, 0: "all" };
    if (event.key in ranges) this.chart.range(ranges[event.key]);
    else if (event.key === "l") this.chart.follow();
    else if (event.key === "c") this.chart.board.focus();
    else if (event.key === "r") this.reset();
    else if (event.key === "/") this.partitions.field.focus();
    else return false;
    return true;
  }
}

const clockWords = (seconds) => (seconds < 99.95 ? `${Math.max(seconds, 0).toFixed(1)} s` : age(seconds));

function caughtUp(head) {
  if (head.lag === 0) return ["now", "nothing waits"];
  if (head.rates.eta_s !== null) return [age(head.rates.eta_s), "at this pace"];
  const words = { unknown: "not known yet", "caught up": "it keeps up" };
  return [NONE, words[head.rates.level] ?? "the lag is not falling"];
}

function tile() {
  const [name, value, more] = [h("dt"), h("dd", { class: "tile-value" }), h("dd", { class: "tile-more" })];
  return {
    node: h("dl", { class: "tile" }, name, value, more),
    show(title, text, note, why, level) {
      put(name, title);
      put(value, text);
      put(more, note);
      mark(value, "title", why);
      mark(more, "data-level", level);
    },
  };
}
