// The keys, on one sheet.

import { h } from "./dom.js";

const KEYS = [
  ["Everywhere", [["?", "this sheet"], ["g", "all groups"], ["t", "light or dark"], ["Esc", "close; leave a field"]]],
  [
    "Groups",
    [["/", "filter"], ["↓ ↑  j k", "next, previous group"], ["Home End", "first, last"], ["Enter", "open it"]],
  ],
  [
    "One group",
    [
      ["l", "live: follow the present"],
      ["1 2 3 4 0", "the last minute, 5, 15 minutes, hour; all"],
      ["c", "into the timeline"],
      ["r", "reset offsets: the plan first"],
      ["/", "filter partitions"],
    ],
  ],
  [
    "In the timeline",
    [
      ["← →", "move the hair; with Shift ten times as far"],
      ["↑ ↓", "choose a partition"],
      ["+ −", "closer, further away"],
      ["[ ]", "previous, next event"],
      ["Enter", "put the moment into the address, to share"],
    ],
  ],
];

export function showHelp() {
  const dialog = h(
    "dialog",
    { class: "help", "aria-labelledby": "help-title" },
    h("div", { class: "dialog-head" }, h("h2", { id: "help-title" }, "Keys"), closer()),
    h(
      "div",
      { class: "help-parts" },
      KEYS.map(([name, keys]) =>
        h(
          "section",
          null,
          h("h3", null, name),
          h("dl", null, keys.map(([key, words]) => [h("dt", null, key.split(" ").filter(Boolean).map((one) => [h("kbd", null, one), " "])), h("dd", null, words)])),
        ),
      ),
    ),
  );
  open(dialog);
}

export function closer() {
  return h("button", { type: "button", class: "plain", "aria-label": "Close", onclick: (event) => event.target.closest("dialog").close() }, "✕");
}

export function open(dialog) {
  const before = document.activeElement;
  dialog.addEventListener("close", () => {
    dialog.remove();
    before?.focus?.();
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
}
