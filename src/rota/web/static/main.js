// The page: which view belongs to the address, the bar above it, and the keys that work everywhere.

import { fill, h, mark, put } from "./dom.js";
import { GroupPage } from "./group.js";
import { GroupsPage } from "./groups.js";
import { showHelp } from "./help.js";
import { live, session } from "./live.js";
import { age } from "./words.js";

const main = document.getElementById("main");
let page = null;

// A name of only dots would be taken for a folder by every browser: such a group is asked for in the query.
function groupPath(name) {
  return /^\.{1,2}$/.test(name) ? `/group?name=${name}` : `/group/${encodeURIComponent(name)}`;
}

function groupOfAddress() {
  if (location.pathname === "/group") return new URLSearchParams(location.search).get("name");
  const found = /^\/group\/(.+)$/.exec(location.pathname);
  if (!found) return null;
  try {
    return decodeURIComponent(found[1]);
  } catch {
    return found[1];
  }
}

function go(path) {
  history.pushState(null, "", path);
  show(true);
}

function show(moved) {
  const group = groupOfAddress();
  page?.close();
  page = group === null ? new GroupsPage(go, groupPath) : new GroupPage(group, go);
  document.title = group === null ? "Groups · Rota" : `${group} · Rota`;
  fill(main, page.node);
  if (moved) {
    main.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  live.follow(group ?? "", (changed, whole) => page.update(changed, whole));
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-link]");
  if (!link || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(link.getAttribute("href"));
});

addEventListener("popstate", () => show(true));

// Without a fragment in the address, which would count as another page.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

// The bar

const pulse = document.getElementById("pulse");
const pulseWords = document.getElementById("pulse-words");
const trouble = document.getElementById("trouble");
const theme = document.getElementById("theme");

function beat() {
  const quiet = live.lastNews === null ? 0 : (Date.now() - live.lastNews) / 1000;
  const stale = live.state === "live" && quiet > Math.max(3 * (live.intervalS ?? 5), 10);
  const failing = live.state === "live" && live.failure;
  const is = failing || stale ? "stale" : live.state;
  mark(pulse, "data-is", is);
  const words = {
    waiting: "connecting",
    live: "live",
    stale: `no news for ${age(quiet)}`,
    away: live.lastNews === null ? "server not reachable" : `reconnecting, ${age(quiet)} old`,
    asleep: "paused",
  };
  put(pulseWords, failing ? "cluster not reachable" : words[is]);
  put(trouble, live.failure ?? "");
  trouble.hidden = !live.failure;
}

document.addEventListener("rota-pulse", beat);
setInterval(beat, 1000);

function showTheme() {
  const dark = document.documentElement.dataset.theme === "dark";
  put(theme, dark ? "☾" : "☀");
  mark(theme, "aria-label", dark ? "Dark; change to light" : "Light; change to dark");
}
document.addEventListener("rota-theme", showTheme);
theme.addEventListener("click", () => window.rotaTheme.next());
document.getElementById("help").addEventListener("click", () => showHelp());
showTheme();

// Keys

const typing = (node) => node.closest?.("input, select, textarea, [contenteditable]");

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (typing(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (page?.key(event)) return event.preventDefault();
  const keys = { "?": () => showHelp(), t: () => window.rotaTheme.next(), g: () => go("/") };
  const wanted = keys[event.key];
  if (wanted) {
    event.preventDefault();
    wanted();
  }
});

async function begin() {
  try {
    live.session = await session();
    put(document.getElementById("cluster"), live.session.cluster);
    mark(document.getElementById("cluster"), "title", live.session.cluster);
    show(false);
  } catch (error) {
    fill(main, h("p", { class: "waiting" }, `Rota does not answer (${error.message}). Trying again …`));
    setTimeout(begin, 2000);
  }
}

begin();
