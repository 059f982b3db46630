// Partitions and members of one group.

import { Rows, fill, h, mark, put } from "./dom.js";
import { swatch } from "./chart.js";
import { short } from "./draw.js";
import { LEVELS, NONE, count, exact, late, lateWords, many, rate } from "./words.js";

const SHOWN = 100;

const head = (names) => h("thead", null, h("tr", null, names.map(([name, key, why]) => h("th", { scope: "col", class: `c-${key}`, title: why }, name))));

export class Partitions {
  // `filtered(text)`: what the filter says now.
  constructor(filtered) {
    this.most = SHOWN;
    this.filter = "";
    this.looks = {};
    this.body = h("tbody");
    this.rows = new Rows(this.body, (part) => `${part.topic}\n${part.partition}`, () => this.row());
    this.more = h("button", { type: "button", class: "soft", hidden: true, onclick: () => this.all() });
    this.title = h("span", { class: "dim" });
    this.field = h("input", {
      type: "search",
      placeholder: "Filter",
      "aria-label": "Filter partitions by topic, number or owner",
      autocomplete: "off",
      spellcheck: "false",
      oninput: () => {
        this.filter = this.field.value.trim().toLowerCase();
        this.show(this.parts, this.looks);
        filtered(this.filter);
      },
    });
    this.node = h(
      "section",
      { class: "card", "aria-labelledby": "partitions-title" },
      h("div", { class: "card-head" }, h("h2", { id: "partitions-title" }, "Partitions"), this.title, h("span", { class: "space" }), h("label", { class: "find small" }, this.field, h("kbd", { "aria-hidden": "true" }, "/"))),
      h(
        "div",
        { class: "scroll-x" },
        h(
          "table",
          { class: "parts" },
          h("caption", { class: "unseen" }, "Partitions"),
          head([
            ["Partition", "name"],
            ["Owner", "owner"],
            ["Lag", "lag", "Records between the committed offset and the end"],
            ["Time lag", "time", "How old the first unread record is"],
            ["In/s", "in", "Produced"],
            ["Out/s", "out", "Consumed, by commits"],
            ["Trend", "trend"],
            ["Committed", "committed"],
            ["End", "end", "The log's end"],
          ]),
          this.body,
        ),
      ),
      this.more,
    );
  }

  all() {
    this.most = Infinity;
    this.show(this.parts, this.looks);
  }

  show(parts, looks) {
    this.parts = parts;
    this.looks = looks;
    const topics = new Set(parts.map((part) => part.topic));
    this.one = topics.size <= 1;
    this.top = parts.reduce((most, part) => Math.max(most, part.lag ?? 0), 1);
    const kept = parts.filter((part) => `${this.label(part)} ${part.owner ?? ""}`.toLowerCase().includes(this.filter));
    put(this.title, `${this.one ? [...topics][0] ?? "" : many(topics.size, "topic")} · ${kept.length === parts.length ? many(parts.length, "partition") : `${kept.length} of ${parts.length}`}`);
    this.rows.show(kept.slice(0, this.most));
    this.more.hidden = kept.length <= this.most;
    put(this.more, `Show all ${exact(kept.length)}`);
  }

  label(part) {
    return this.one ? `P${part.partition}` : `${part.topic}-${part.partition}`;
  }

  row() {
    const [name, lag, time, made, read, level, committed, end] = Array.from({ length: 8 }, () => h("span"));
    const bar = h("i", { class: "lag-bar", "aria-hidden": "true" });
    const owner = h("span", { class: "owner" });
    const notes = h("span", { class: "notes" });
    const cell = (key, ...inner) => h("td", { class: `c-${key}` }, inner);
    const node = h("tr", null, h("th", { scope: "row", class: "c-name" }, name, notes), cell("owner", owner), cell("lag", bar, lag), cell("time", time), cell("in", made), cell("out", read), cell("trend", level), cell("committed", committed), cell("end", end));
    const update = (part) => {
      put(name, this.label(part));
      mark(name, "title", `${part.topic}-${part.partition}`);
      showOwner(owner, part.owner, this.looks);
      put(lag, count(part.lag));
      mark(lag, "title", part.lag === null ? "not known" : many(part.lag, "record"));
      bar.style.width = `${part.lag ? Math.max((part.lag / this.top) * 100, 2) : 0}%`;
      put(time, late(part.time));
      mark(time, "title", lateWords(part.time));
      put(made, rate(part.rates.in));
      put(read, rate(part.rates.out));
      put(level, `${LEVELS[part.rates.level] ?? ""} ${part.rates.level}`);
      mark(level, "class", "level");
      mark(level, "data-level", part.rates.level);
      put(committed, exact(part.committed));
      put(end, exact(part.end));
      mark(end, "title", part.stable !== null && part.stable !== part.end ? `last stable offset ${exact(part.stable)}; the log begins at ${exact(part.start)}` : `the log begins at ${exact(part.start)}`);
      const key = part.notes.join("\n");
      if (notes.dataset.key !== key) {
        notes.dataset.key = key;
        fill(notes, part.notes.map((words) => h("span", { class: "note" }, words)));
      }
    };
    return { node, update };
  }
}

export class Members {
  constructor() {
    this.looks = {};
    this.body = h("tbody");
    this.rows = new Rows(this.body, (member) => member.id, () => this.row());
    this.title = h("span", { class: "dim" });
    this.empty = h("p", { class: "waiting" }, "Nobody is in the group: what is produced waits.");
    this.table = h(
      "table",
      { class: "members" },
      h("caption", { class: "unseen" }, "Members"),
      head([["Member", "name"], ["Holds", "holds"], ["Lag", "lag"], ["Time lag", "time"], ["Out/s", "out"], ["Host", "host"], ["Member id", "id"]]),
      this.body,
    );
    this.node = h("section", { class: "card", "aria-labelledby": "members-title" }, h("div", { class: "card-head" }, h("h2", { id: "members-title" }, "Members"), this.title), h("div", { class: "scroll-x" }, this.table), this.empty);
  }

  show(members, looks, head) {
    this.looks = looks;
    this.rows.show(members);
    this.table.hidden = members.length === 0;
    this.empty.hidden = members.length > 0;
    put(this.title, `${many(members.length, "member")}${head.idle ? `, ${head.idle} without a partition` : ""}`);
  }

  row() {
    const [held, lag, time, read, host, id] = Array.from({ length: 6 }, () => h("span"));
    const name = h("span", { class: "owner" });
    const extra = h("span", { class: "notes" });
    const cell = (key, ...inner) => h("td", { class: `c-${key}` }, inner);
    const node = h("tr", null, h("th", { scope: "row", class: "c-name" }, name, extra), cell("holds", held), cell("lag", lag), cell("time", time), cell("out", read), cell("host", host), cell("id", id));
    const update = (member) => {
      showOwner(name, member.name, this.looks);
      const moving = [member.taking && `+${member.taking} to come`, member.giving && `−${member.giving} to give`].filter(Boolean).join(", ");
      put(held, `${exact(member.held.length)}${moving ? ` (${moving})` : ""}`);
      mark(held, "title", member.held.join(", ") || "holds nothing");
      put(lag, count(member.lag));
      put(time, late(member.time));
      mark(time, "title", lateWords(member.time));
      put(read, rate(member.rates.out));
      put(host, member.host || NONE);
      put(id, member.id);
      mark(id, "title", member.id);
      const notes = [member.instance && `static: ${member.instance}`, member.client && member.client !== member.name && `client id ${member.client}`, member.rack && `rack ${member.rack}`, member.epoch !== null && `epoch ${member.epoch}`].filter(Boolean);
      const key = notes.join("\n");
      if (extra.dataset.key !== key) {
        extra.dataset.key = key;
        fill(extra, notes.map((words) => h("span", { class: "note quiet" }, words)));
      }
    };
    return { node, update };
  }
}

function showOwner(node, name, looks) {
  const look = name === null ? null : looks[name];
  const key = `${name}|${look?.sign}|${look?.colour}|${look?.pattern}`;
  if (node.dataset.key === key) return;
  node.dataset.key = key;
  fill(node, name === null ? h("span", { class: "dim" }, "nobody") : [look && swatch(look), h("span", { class: "who", title: name }, short(name, 230, 13))]);
}
