// Resetting offsets: what it would do first, and then only with the group's name typed.

import { announce, fill, h } from "./dom.js";
import { closer, open } from "./help.js";
import { change } from "./live.js";
import { command } from "./side.js";
import { clock, exact, many, stamp } from "./words.js";

const SCENARIOS = [
  ["to-earliest", "to the earliest record that is kept", null],
  ["to-latest", "to the end: skip what waits", null],
  ["to-datetime", "to a moment", { type: "datetime-local", step: "1", label: "Moment" }],
  ["by-duration", "back by a duration", { type: "text", placeholder: "PT1H30M", label: "Duration (ISO 8601)" }],
  ["shift-by", "by so many records", { type: "number", placeholder: "-100", label: "Records (negative: back)" }],
  ["to-offset", "to an offset", { type: "number", min: "0", placeholder: "0", label: "Offset" }],
  ["to-current", "to where it is (commits it anew)", null],
];

export async function showReset(group, partitions) {
  const topics = [...new Set(partitions.map((part) => part.topic))].sort();
  const topic = h("select", { id: "reset-topic" }, topics.length !== 1 && h("option", { value: "" }, "all topics"), topics.map((name) => h("option", { value: name }, name)));
  const numbers = h("input", { id: "reset-numbers", type: "text", placeholder: "all", inputmode: "numeric", autocomplete: "off" });
  const scenario = h("select", { id: "reset-scenario" }, SCENARIOS.map(([key, words]) => h("option", { value: key }, words)));
  const value = h("div", { class: "reset-value" });
  const result = h("div", { class: "reset-result", "aria-live": "polite" });
  const form = h(
    "form",
    { class: "reset-form", method: "dialog" },
    field("Topic", topic),
    field("Partitions", numbers),
    field("Go on", scenario),
    value,
    h("button", { type: "submit", class: "main" }, "Show the plan"),
  );
  const dialog = h("dialog", { class: "reset", "aria-labelledby": "reset-title" }, h("div", { class: "dialog-head" }, h("h2", { id: "reset-title" }, "Reset offsets of ", h("code", { class: "who" }, group)), closer()), form, result);
  const chosen = () => SCENARIOS.find(([key]) => key === scenario.value);
  const ask = () => {
    const wants = chosen()[2];
    const input = wants && h("input", { id: "reset-value", required: true, ...Object.fromEntries(Object.entries(wants).filter(([key]) => key !== "label")) });
    fill(value, wants && field(wants.label, input));
    fill(result);
  };
  scenario.addEventListener("change", ask);
  ask();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const input = value.querySelector("input");
    const told = input === null ? "" : input.type === "datetime-local" ? new Date(input.value).toISOString() : input.value.trim();
    fill(result, h("p", { class: "dim" }, "Asking the brokers …"));
    try {
      const plan = await change("/api/reset/preview", { group, topic: topic.value, partitions: numbers.value, scenario: scenario.value, value: told });
      showPlan(result, group, plan, dialog);
    } catch (error) {
      fill(result, bad(error.message));
    }
  });
  open(dialog);
}

const field = (name, input) => h("label", { class: "field" }, h("span", null, name), input);

const bad = (words) => h("p", { class: "bad", role: "alert" }, words);

function showPlan(result, group, plan, dialog) {
  const rows = plan.rows.map((row) =>
    h(
      "tr",
      { "data-effect": row.effect },
      h("th", { scope: "row" }, row.partition),
      h("td", null, exact(row.old)),
      h("td", { class: "arrow", "aria-label": "becomes" }, "→"),
      h("td", null, row.new === null ? "none" : exact(row.new)),
      h("td", { class: "effect" }, row.problem || row.words, row.remark && h("span", { class: "note" }, row.remark)),
      h("td", { class: "dim span" }, spanWords(row.span)),
    ),
  );
  fill(
    result,
    h("p", { class: "plan-sum" }, plan.summary),
    h("div", { class: "scroll-x plan-rows" }, h("table", { class: "plan" }, h("thead", null, h("tr", null, ["Partition", "Old", "", "New", "Records", "Their time"].map((name) => h("th", { scope: "col" }, name)))), h("tbody", null, rows))),
    plan.left_out.length > 0 && h("p", { class: "dim" }, `Not touched, for nothing is committed there: ${plan.left_out.join(", ")}`),
    h("details", null, h("summary", null, "The same on the command line"), command(plan.command)),
  );
  result.append(execution(result, group, plan, dialog));
}

function spanWords(span) {
  if (!span) return "";
  const [from, to] = span;
  return from === null ? "" : to === null ? `from ${stamp(from)}` : `${stamp(from)} – ${stamp(to).slice(0, 10) === stamp(from).slice(0, 10) ? clock(to) : stamp(to)}`;
}

function execution(result, group, plan, dialog) {
  if (plan.refused) return h("div", { class: "refused" }, h("p", null, plan.refused), plan.members.length > 0 && h("ul", null, plan.members.map((member) => h("li", null, member))));
  const typed = h("input", { type: "text", autocomplete: "off", spellcheck: "false", "aria-describedby": "typed-why" });
  const button = h("button", { type: "submit", class: "danger", disabled: true }, `Reset ${many(plan.rows.length, "partition")}`);
  typed.addEventListener("input", () => (button.disabled = typed.value !== group));
  const trouble = h("div");
  const form = h("form", { class: "execute" }, h("p", { id: "typed-why" }, "Type the group's name to do it. ", h("code", { class: "who" }, group)), h("div", { class: "execute-row" }, h("label", { class: "field" }, h("span", { class: "unseen" }, "The group's name"), typed), button), trouble);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (typed.value !== group) return;
    button.disabled = true;
    try {
      const done = await change("/api/reset/execute", { group, typed: typed.value, plan: plan.id });
      showOutcome(result, group, plan, done, dialog);
    } catch (error) {
      await askOutcome(error);
    }
  });
  // An answer that is lost may have been a yes: the server remembers what it did, and the way back.
  const askOutcome = async (reason) => {
    try {
      showOutcome(result, group, plan, await change("/api/reset/outcome", { group, plan: plan.id }), dialog);
    } catch (error) {
      const again = h("button", { type: "button", class: "soft", onclick: () => askOutcome(reason) }, "Ask what became of it");
      const open = !(reason.refused || error.refused);
      fill(trouble, bad(open ? `${reason.message}: whether it was done is not known` : reason.message), open && again);
      button.disabled = open || typed.value !== group;
    }
  };
  return form;
}

function showOutcome(result, group, plan, done, dialog) {
  announce(done.words);
  const again = async () => {
    try {
      showOutcome(result, group, plan, await change("/api/reset/outcome", { group, plan: plan.id }), dialog);
    } catch (error) {
      fill(trouble, bad(error.message));
    }
  };
  const trouble = h("div");
  const failed = done.failed.length > 0 && bad(done.failed.join("; "));
  const buttons = [
    h("button", { type: "button", class: "main", onclick: () => dialog.close() }, "Close"),
    !done.finished && h("button", { type: "button", class: "soft", onclick: again }, "Ask again"),
    done.rollback && saver(group, done.rollback),
  ];
  const file = done.file && h("p", { class: "dim" }, "What was committed before is also in ", h("code", null, done.file), ", where this server runs.");
  fill(result, h("p", { class: "done" }, done.words), failed, file, trouble, h("div", { class: "execute-row" }, buttons));
  result.querySelector("button.main").focus();
}

// What was committed before, as a file for `rota groups reset-offsets --from-file`.
function saver(group, text) {
  const name = `rollback-${group.replace(/[^A-Za-z0-9._-]+/g, "-").slice(0, 60)}.json`;
  const save = () => {
    const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    h("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  };
  return h("button", { type: "button", class: "soft", title: "What was committed before; rota groups reset-offsets --from-file brings it back", onclick: save }, "Save the rollback file");
}
