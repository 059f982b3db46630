// The panels of the timeline card, each drawn anew from what is known; all use one axis.

import { roundTop } from "./axis.js";
import { fill, s } from "./dom.js";
import { clock, count, rate, seconds, stamp } from "./words.js";

const pen = document.createElement("canvas").getContext("2d");
const widths = new Map();

// How wide a text is, in pixels.
export function room(words, size = 11) {
  const key = `${size}|${words}`;
  let width = widths.get(key);
  if (width === undefined) {
    if (widths.size > 2000) widths.clear();
    pen.font = `500 ${size}px ${getComputedStyle(document.body).fontFamily}`;
    width = pen.measureText(words).width;
    widths.set(key, width);
  }
  return width;
}

// What fits of a name: both ends, for it is they that tell names apart.
export function short(words, width, size = 11) {
  if (room(words, size) <= width) return words;
  const letters = [...words];
  let [few, many] = [0, letters.length];
  const cut = (count) => `${letters.slice(0, count - Math.floor(count / 3)).join("")}…${letters.slice(letters.length - Math.floor(count / 3)).join("")}`;
  while (few < many - 1) {
    const middle = (few + many) >> 1;
    if (room(cut(middle), size) <= width) few = middle;
    else many = middle;
  }
  return few > 1 ? cut(few) : "";
}

const SIGNS = {
  started: [["path", { d: "M-4-5L5 0L-4 5Z", class: "solid" }]],
  stopped: [["path", { d: "M-4-4H4V4H-4Z", class: "solid" }]],
  killed: [["path", { d: "M-4.5-4.5L4.5 4.5M-4.5 4.5L4.5-4.5", class: "stroke" }]],
  frozen: [["path", { d: "M-4.5-5H-1V5H-4.5ZM1-5H4.5V5H1Z", class: "solid" }]],
  refused: [["path", { d: "M-4.5 0A4.5 4.5 0 1 0 4.5 0A4.5 4.5 0 1 0-4.5 0ZM-3 3L3-3", class: "stroke" }]],
  fault: [["path", { d: "M1-6L-4 1H0L-1 6L4-1H0Z", class: "solid" }]],
  healed: [["circle", { r: 4, class: "solid" }]],
};

function sign(kind, x, y) {
  return s("g", { transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`, class: "incident" }, (SIGNS[kind] ?? SIGNS.fault).map(([tag, props]) => s(tag, props)));
}

export function size(svg, width, height) {
  svg.setAttribute("width", width);
  svg.setAttribute("height", height);
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
}

// The patterns of consumers and the hatch of pauses, used by every drawing of the page.
export function definitions(patterns) {
  const tiles = patterns.map(
    (path, index) =>
      path &&
      s("pattern", { id: `pattern-${index}`, width: 8, height: 8, patternUnits: "userSpaceOnUse" }, s("path", { d: path, stroke: "#000", "stroke-opacity": 0.38, "stroke-width": 1.3, fill: "none" })),
  );
  const hatch = s(
    "pattern",
    { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse" },
    s("rect", { width: 6, height: 6, class: "hatch-ground" }),
    s("path", { d: "M0 6L6 0M-1 1L1-1M5 7L7 5", class: "hatch-lines" }),
  );
  return s("svg", { class: "definitions", width: 0, height: 0, "aria-hidden": "true" }, s("defs", null, tiles, hatch));
}

function rect(x, y, width, height, props) {
  return s("rect", { x: x.toFixed(1), y: y.toFixed(1), width: Math.max(width, 0).toFixed(1), height: height.toFixed(1), ...props });
}

const text = (x, y, words, props) => s("text", { x: x.toFixed(1), y: y.toFixed(1), ...props }, words);

function bands(view, height) {
  const { axis, timeline } = view;
  return timeline.rebalances
    .filter((each) => axis.shows(each.start_ms, each.end_ms ?? axis.now))
    .map((each) => {
      const x = axis.edge(each.start_ms);
      return rect(x, 0, Math.max(axis.edge(each.end_ms ?? axis.now) - x, 2), height, { class: each.end_ms === null ? "band now" : "band" });
    });
}

function unwatched(axis, height) {
  const end = axis.edge(axis.earliest);
  return end > axis.left ? rect(axis.left, 0, end - axis.left, height, { class: "unwatched" }) : null;
}

// Numbers of rebalances, and what befell whom.
export function drawHead(svg, view) {
  const { axis, timeline } = view;
  const height = 26;
  size(svg, view.width, height);
  let free = -100;
  const parts = [];
  for (const each of timeline.rebalances) {
    const end = each.end_ms ?? axis.now;
    if (!axis.shows(each.start_ms, end)) continue;
    const label = String(each.number);
    const width = label.length * 7 + 10;
    const x = Math.min(Math.max((axis.edge(each.start_ms) + axis.edge(end)) / 2, axis.left + width / 2), axis.left + axis.width - width / 2);
    if (x - width / 2 < free + 2) continue;
    free = x + width / 2;
    parts.push(rect(x - width / 2, 5, width, 17, { rx: 8.5, class: each.end_ms === null ? "number now" : "number" }), text(x, 17.5, label, { class: "number-text", "text-anchor": "middle" }));
  }
  for (const each of timeline.incidents) if (axis.shows(each.at_ms, each.at_ms)) parts.push(sign(each.sign, axis.x(each.at_ms), 13));
  parts.push(text(axis.left - 8, 17.5, axis.left > 70 ? "rebalances" : "rebal.", { class: "dim small", "text-anchor": "end" }));
  fill(svg, parts);
}

// Partitions by time: who held which, and when nobody read.
export function drawRows(svg, view) {
  const { axis, timeline, rows, rowHeight } = view;
  const height = Math.max(rows.length * rowHeight, rowHeight);
  size(svg, view.width, height);
  const parts = [];
  const letters = Math.min(11.5, rowHeight - 2);
  rows.forEach((row, index) => {
    const y = index * rowHeight;
    if (index % 2 === 0) parts.push(rect(0, y, view.width, rowHeight, { class: "stripe" }));
    if (index === view.row) parts.push(rect(0, y, view.width, rowHeight, { class: "chosen" }));
    if (rowHeight >= 9 || index % 2 === 0) parts.push(text(axis.left - 8, y + rowHeight / 2 + letters * 0.36, short(row.label, axis.left - 16, letters), { class: "label", "text-anchor": "end", style: { "font-size": `${letters}px` } }));
  });
  parts.push(unwatched(axis, height), bands(view, height));
  rows.forEach((row, index) => {
    const y = index * rowHeight;
    for (const span of row.spans) parts.push(bar(view, span, row.gaps, y, letters));
    for (const gap of row.gaps) parts.push(pause(view, gap, y));
  });
  const nothing = !timeline.rows.length ? "no partition yet" : axis.to < axis.earliest ? `nothing is known of this time: what is known begins at ${stamp(axis.earliest)}` : "";
  if (nothing) parts.push(text(axis.left + 10, 16, nothing, { class: "dim small" }));
  fill(svg, parts);
}

// Where a bar is not covered by a pause for longest: from where, and how wide.
function longest(axis, x, width, gaps) {
  let [from, free, at] = [x, 0, x];
  for (const [start, end] of [...gaps, [Infinity, Infinity]]) {
    const until = Math.min(Math.max(start === Infinity ? x + width : axis.x(start), x), x + width);
    if (until - at > free) [from, free] = [at, until - at];
    at = Math.min(Math.max(end === null ? x + width : axis.x(end), at), x + width);
  }
  return [from, free];
}

function bar(view, [name, startMs, endMs], gaps, y, letters) {
  const { axis, rowHeight, timeline } = view;
  const start = startMs ?? view.watchedMs;
  const end = endMs ?? axis.now;
  if (!axis.shows(start, end)) return null;
  const inset = rowHeight >= 18 ? 3 : 1;
  const x = axis.edge(start);
  const width = Math.max(axis.edge(end) - x, 1);
  const height = rowHeight - 2 * inset;
  const look = timeline.looks[name];
  const radius = Math.min(3, height / 3, width / 2);
  const parts = [rect(x, y + inset, width, height, { fill: look.colour, rx: radius })];
  if (look.pattern) parts.push(rect(x, y + inset, width, height, { fill: `url(#pattern-${look.pattern})`, rx: radius }));
  const [from, free] = longest(axis, x, width, gaps);
  const shown = room(name, letters) + 14 <= free ? name : free > 90 ? short(name, free - 14, letters) : look.sign;
  if (shown && room(shown, letters) + 4 <= free) {
    const place = shown === look.sign ? from + free / 2 : from + 7;
    const anchor = shown === look.sign ? "middle" : "start";
    const words = (props, style) => text(place, y + rowHeight / 2 + letters * 0.36, shown, { "text-anchor": anchor, ...props, style: { "font-size": `${letters}px`, ...style } });
    parts.push(words({ class: "bar-halo", stroke: look.colour }), words({ class: "bar-name" }, { fill: look.ink }));
  }
  return parts;
}

function pause(view, [start, endMs], y) {
  const { axis, rowHeight } = view;
  const end = endMs ?? axis.now;
  if (!axis.shows(start, end)) return null;
  const inset = rowHeight >= 18 ? 5 : 2;
  const x = axis.edge(start);
  const width = Math.max(axis.edge(end) - x, 2);
  const parts = [rect(x, y + inset, width, rowHeight - 2 * inset, { fill: "url(#hatch)", class: "pause" })];
  const words = seconds(end - start);
  if (rowHeight >= 14 && room(words, 11) + 10 <= width) {
    const props = { "text-anchor": "middle" };
    parts.push(text(x + width / 2, y + rowHeight / 2 + 4, words, { ...props, class: "pause-halo" }), text(x + width / 2, y + rowHeight / 2 + 4, words, { ...props, class: "pause-words" }));
  }
  return parts;
}

// Lines over time: {title, lines: [{values: [[ms, value]], class, name}], words}
export function drawLines(svg, view, panel) {
  const { axis } = view;
  const height = panel.height;
  const top = 16;
  const bottom = height - 6;
  size(svg, view.width, height);
  const seen = panel.lines.flatMap((line) => visible(line.values, axis).map(([, value]) => value)).filter((value) => value !== null);
  const most = roundTop(Math.max(...seen, 0));
  const y = (value) => bottom - (value / most) * (bottom - top);
  const right = axis.left + axis.width;
  const parts = [unwatched(axis, height), bands(view, height)];
  for (const share of [0, 0.5, 1]) {
    const level = y(most * share);
    parts.push(s("path", { d: `M${axis.left} ${level.toFixed(1)}H${right}`, class: share ? "grid" : "ground" }));
    if (share !== 0.5) parts.push(text(axis.left - 8, level + (share ? 4 : 1), share ? panel.words(most) : "0", { class: "dim small", "text-anchor": "end" }));
  }
  for (const line of panel.lines) parts.push(path(line, view, y, bottom));
  let x = axis.left + 4;
  parts.push(text(x, 11, panel.title, { class: "title" }));
  x += room(panel.title) + 16;
  for (const line of panel.lines.filter((each) => each.name)) {
    parts.push(s("path", { d: `M${x} 7h18`, class: `line ${line.class}` }), text(x + 22, 11, line.name, { class: "dim small" }));
    x += 22 + room(line.name) + 16;
  }
  if (!seen.length) parts.push(text(axis.left + axis.width / 2, (top + bottom) / 2 + 4, "no measurement in this time", { class: "dim small", "text-anchor": "middle" }));
  fill(svg, parts);
}

// Those inside, and one beyond each edge.
function visible(values, axis) {
  const first = values.findIndex(([at]) => at >= axis.from);
  if (first < 0) return values.slice(-1);
  let last = values.length;
  while (last > 0 && values[last - 1][0] > axis.to) last -= 1;
  return values.slice(Math.max(first - 1, 0), last + 1);
}

function path(line, view, y, bottom) {
  const { axis } = view;
  const pieces = [];
  let piece = [];
  let before = null;
  for (const [at, value] of visible(line.values, axis)) {
    const torn = before !== null && at - before > view.tornMs;
    if (value === null || torn) {
      if (piece.length) pieces.push(piece);
      piece = [];
    }
    if (value !== null) piece.push([axis.x(at), y(value)]);
    before = at;
  }
  if (piece.length) pieces.push(piece);
  const drawn = pieces.map((points) => points.map(([px, py], index) => `${index ? "L" : "M"}${px.toFixed(1)} ${py.toFixed(1)}`).join(""));
  const parts = [];
  if (line.area) parts.push(s("path", { d: pieces.map((points, index) => `${drawn[index]}L${points.at(-1)[0].toFixed(1)} ${bottom}L${points[0][0].toFixed(1)} ${bottom}Z`).join(""), class: `area ${line.class}`, "clip-path": "url(#plot)" }));
  parts.push(s("path", { d: drawn.join(""), class: `line ${line.class}`, "clip-path": "url(#plot)" }));
  for (const points of pieces) if (points.length === 1) parts.push(s("circle", { cx: points[0][0], cy: points[0][1], r: 2, class: `dot ${line.class}` }));
  return parts;
}

// The plot's edges, for lines that go beyond.
export function clip(svg, view) {
  fill(svg, s("clipPath", { id: "plot" }, s("rect", { x: view.axis.left, y: -10, width: view.axis.width, height: 2000 })));
}

export function drawAxis(svg, view) {
  const { axis } = view;
  size(svg, view.width, 24);
  const { step, at } = axis.ticks();
  const parts = [s("path", { d: `M${axis.left} 0.5H${axis.left + axis.width}`, class: "ground" })];
  for (const each of at) {
    const x = axis.x(each);
    const words = step >= 60000 ? clock(each).slice(0, 5) : clock(each);
    const day = step >= 43200000 ? stamp(each).slice(5, 10) : words;
    parts.push(s("path", { d: `M${x.toFixed(1)} 0v5`, class: "ground" }));
    if (x > axis.left + 12 && x < axis.left + axis.width - 20) parts.push(text(x, 17, day, { class: "dim small", "text-anchor": "middle" }));
  }
  fill(svg, parts);
}

export const panels = (points) => [
  {
    key: "lag",
    title: "lag, records",
    height: 92,
    words: count,
    lines: [{ values: points.map(([at, lag]) => [at, lag]), class: "lag", area: true }],
  },
  {
    key: "rates",
    title: "records/s",
    height: 92,
    words: rate,
    lines: [
      { values: points.map(([at, , made]) => [at, made]), class: "made", name: "produced" },
      { values: points.map(([at, , , read]) => [at, read]), class: "read", name: "consumed" },
    ],
  },
];
