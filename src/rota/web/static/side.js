// What stands beside the timeline: the doctor's findings, and the log of what happened.

import { Rows, announce, fill, h, mark, put } from "./dom.js";
import { SEVERITIES, clock, many, momentText, seconds, stamp } from "./words.js";

export class Findings {
  constructor() {
    this.list = h("div", { class: "findings" });
    this.rows = new Rows(this.list, (item) => `${item.rule}\n${item.partitions.join()}\n${item.members.join()}`, (item) => this.card(item));
    this.title = h("span", { class: "dim" });
    this.empty = h("p", { class: "fine" }, h("span", { class: "sign", "data-severity": "fine", "aria-hidden": "true" }, "✓"), h("span"));
    this.node = h("section", { class: "card", "aria-labelledby": "doctor-title" }, h("div", { class: "card-head" }, h("h2", { id: "doctor-title" }, "Doctor"), this.title), this.list, this.empty);
  }

  show(findings) {
    this.rows.show(findings);
    this.empty.hidden = findings.length > 0;
    put(this.empty.lastChild, "The doctor finds nothing wrong with this group.");
    put(this.title, findings.length ? many(findings.length, "finding") : "");
  }

  card(first) {
    const words = h("p", { class: "finding-title" });
    const advice = h("p", { class: "advice" });
    const doubts = h("p", { class: "dim" });
    const evidence = h("tbody");
    const commands = h("div", { class: "commands" });
    const sign = h("span", { class: "sign", "data-severity": first.severity }, SEVERITIES[first.severity]);
    const rule = h("span", { class: "dim rule" });
    const summary = h("summary");
    const folded = h("details", null, summary, h("div", { class: "scroll-x" }, h("table", { class: "evidence" }, h("thead", null, h("tr", null, ["What", "Value", "From"].map((name) => h("th", { scope: "col" }, name)))), evidence)), doubts);
    const node = h("article", { class: "finding-card", "data-severity": first.severity }, h("div", { class: "finding-head" }, sign, h("div", null, words, rule)), advice, commands, folded);
    let drawn = "";
    const update = (item) => {
      const key = JSON.stringify(item);
      if (key === drawn) return;
      drawn = key;
      mark(node, "data-severity", item.severity);
      mark(sign, "data-severity", item.severity);
      put(sign, SEVERITIES[item.severity]);
      put(words, item.words);
      put(rule, `${item.severity} · ${item.rule} ${item.name} · ${item.certainty === "guess" ? "a guess" : item.certainty}`);
      put(advice, item.advice);
      advice.hidden = !item.advice;
      put(doubts, item.doubts && `Not sure: ${item.doubts}`);
      doubts.hidden = !item.doubts;
      put(summary, many(item.evidence.length, "piece of evidence", "pieces of evidence"));
      folded.hidden = !item.evidence.length && !item.doubts;
      fill(evidence, item.evidence.map(([what, value, source]) => h("tr", null, h("td", null, what), h("td", { class: "value" }, value), h("td", { class: "dim" }, source))));
      fill(commands, item.commands.map((line) => command(line)));
    };
    return { node, update };
  }
}

export function command(line) {
  const button = h("button", { type: "button", class: "soft", "aria-label": `Copy: ${line}` }, "Copy");
  button.addEventListener("click", async () => {
    const done = await copy(line);
    put(button, done ? "Copied" : "Select it");
    announce(done ? "The command is copied." : "It could not be copied: select it.");
    setTimeout(() => put(button, "Copy"), 1600);
  });
  return h("div", { class: "command" }, h("code", { tabindex: 0 }, line), button);
}

// Away from this machine and without TLS browsers have no clipboard for pages; the old way works everywhere.
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = h("textarea", { class: "unseen", "aria-hidden": "true" });
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}

function duration(entry) {
  if (entry.kind !== "rebalance") return "";
  const sure = entry.certainty === "certain" ? "" : entry.certainty === "guess" ? " · a guess" : " · likely";
  if (entry.end_ms === null) return `goes on${sure}`;
  if (entry.exact) return `took ${seconds(entry.end_ms - entry.at_ms)}${sure}`;
  return (entry.most_ms === null ? "its beginning is not recorded" : `took at most ${seconds(entry.most_ms)}`) + sure;
}

const NAMES = { rebalance: "Rebalance", return: "Came back", started: "Started", stopped: "Stopped", killed: "Killed", frozen: "Frozen", healed: "Over", refused: "Commit refused", fault: "Fault" };

export class Log {
  // `choose(ms, end)`: a moment was clicked.
  constructor(choose) {
    this.choose = choose;
    this.list = h("ol", { class: "log" });
    this.rows = new Rows(this.list, (entry) => `${entry.kind}|${entry.at_ms}|${entry.words}`, (entry) => this.entry(entry));
    this.title = h("span", { class: "dim" });
    this.unread = h("p", { class: "unread dim", hidden: true });
    this.empty = h("p", { class: "waiting" }, "Nothing has happened since this is watched.");
    this.node = h("section", { class: "card", "aria-labelledby": "log-title" }, h("div", { class: "card-head" }, h("h2", { id: "log-title" }, "What happened"), this.title), this.unread, this.list, this.empty);
  }

  // `unread`: why the groups' own log is not read, if it is not.
  show(entries, unread) {
    this.rows.show(entries);
    this.unread.hidden = !unread;
    put(this.unread, unread ? `Only what is seen by looking again and again: ${unread}` : "");
    this.empty.hidden = entries.length > 0;
    put(this.title, entries.length ? many(entries.length, "event") : "");
  }

  entry(first) {
    const path = `?t=${encodeURIComponent(momentText(first.at_ms))}`;
    const old = Date.now() - first.at_ms > 43200000;
    const time = h(
      "a",
      {
        href: path,
        class: "moment",
        title: stamp(first.at_ms),
        onclick: (event) => {
          if (event.ctrlKey || event.metaKey || event.shiftKey) return;
          event.preventDefault();
          this.choose(first.at_ms);
        },
      },
      h("time", { datetime: new Date(first.at_ms).toISOString() }, old ? stamp(first.at_ms) : clock(first.at_ms)),
    );
    const words = h("p", { class: "log-words" });
    const lasted = h("span", { class: "dim" });
    const cost = h("p", { class: "dim log-cost" });
    const lines = h("ul", { class: "log-lines" });
    const folded = h("details", null, h("summary", null, "details"), lines);
    const node = h("li", { "data-kind": first.kind }, h("div", { class: "log-head" }, time, h("span", { class: "log-kind" }, first.kind === "rebalance" ? `Rebalance ${first.number}` : NAMES[first.kind] ?? first.kind), lasted), words, cost, folded);
    let drawn = "";
    const update = (entry) => {
      const key = JSON.stringify(entry);
      if (key === drawn) return;
      drawn = key;
      put(words, entry.words);
      put(lasted, duration(entry));
      put(cost, entry.cost);
      cost.hidden = !entry.cost;
      folded.hidden = entry.lines.length === 0;
      fill(lines, entry.lines.map((line) => h("li", null, line)));
    };
    return { node, update };
  }
}
