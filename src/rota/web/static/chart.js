// The timeline card: partitions by time, lag and rates below on the same axis, one hair through all of them.

import { Axis } from "./axis.js";
import { fill, h, mark, put, s } from "./dom.js";
import { clip, definitions, drawAxis, drawHead, drawLines, drawRows, panels, room, short, size } from "./draw.js";
import { live } from "./live.js";
import { age, clock, exact, rate, seconds, stamp } from "./words.js";

const RANGES = [
  ["1", "1 min", 60000],
  ["2", "5 min", 300000],
  ["3", "15 min", 900000],
  ["4", "1 h", 3600000],
  ["0", "All", "all"],
];
const MOST_ROWS_HEIGHT = 440;
const DRAG = 6; // pixels; less is a click

export class Chart {
  // `pinned(ms)`: a moment was put into the address, or taken out (null).
  constructor(pinned) {
    this.axis = new Axis();
    this.pinned = pinned;
    this.pin = null;
    this.hair = null;
    this.row = null;
    this.filter = "";
    this.timeline = { rows: [], rebalances: [], incidents: [], looks: {}, start_ms: null };
    this.points = [];
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.node = this.build();
    this.sizes = new ResizeObserver(() => this.draw());
    this.sizes.observe(this.board);
    this.timer = setInterval(() => this.tick(), 1000);
    addEventListener("beforeprint", (this.printing = () => this.draw()));
  }

  close() {
    clearInterval(this.timer);
    this.sizes.disconnect();
    removeEventListener("beforeprint", this.printing);
  }

  build() {
    this.ranges = RANGES.map(([key, name, span]) => ({ span, node: h("button", { type: "button", title: `Key ${key}`, onclick: () => this.range(span) }, name) }));
    this.liveButton = h("button", { type: "button", class: "live", title: "Follow the present (l)", onclick: () => this.follow() }, h("i", { "aria-hidden": "true" }), "Live");
    const tool = (name, sign, act) => h("button", { type: "button", class: "tool", title: name, "aria-label": name, onclick: act }, sign);
    const tools = h(
      "div",
      { class: "tools", role: "group", "aria-label": "Time shown" },
      h("div", { class: "segments" }, this.ranges.map((each) => each.node)),
      h(
        "div",
        { class: "segments" },
        tool("Earlier", "←", () => this.pan(-0.5)),
        tool("Later", "→", () => this.pan(0.5)),
        tool("Further away (−)", "−", () => this.zoom(2)),
        tool("Closer (+)", "+", () => this.zoom(0.5)),
      ),
      this.liveButton,
    );
    this.head = s("svg", { "aria-hidden": "true" });
    this.rowsSvg = s("svg", { "aria-hidden": "true" });
    this.rowsBox = h("div", { class: "rows-box" }, this.rowsSvg);
    this.panelSvgs = new Map(["lag", "rates"].map((key) => [key, s("svg", { "aria-hidden": "true" })]));
    this.axisSvg = s("svg", { "aria-hidden": "true" });
    this.clip = s("svg", { class: "definitions", width: 0, height: 0, "aria-hidden": "true" });
    this.hairLine = h("div", { class: "hair", hidden: true });
    this.pinLine = h("div", { class: "pin", hidden: true }, h("span"));
    this.brush = h("div", { class: "brush", hidden: true });
    this.tip = h("div", { class: "tip", hidden: true });
    this.board = h(
      "div",
      {
        class: "board",
        tabindex: 0,
        role: "slider",
        "aria-label": "Timeline: who holds which partition, lag and rates. Arrow keys move through time and partitions",
        "aria-valuemin": 0,
        "aria-valuemax": 100,
        "aria-valuenow": 100,
      },
      this.head,
      this.rowsBox,
      [...this.panelSvgs.values()],
      this.axisSvg,
      this.brush,
      this.pinLine,
      this.hairLine,
      this.tip,
    );
    this.point();
    this.more = h("span", { class: "dim" });
    this.legend = h("ul", { class: "legend", "aria-label": "Consumers" });
    return h(
      "section",
      { class: "card timeline-card", "aria-labelledby": "timeline-title" },
      definitions(live.session.patterns),
      this.clip,
      h("div", { class: "card-head" }, h("h2", { id: "timeline-title" }, "Timeline"), this.more, h("span", { class: "space" }), tools),
      this.board,
      this.legend,
    );
  }

  // What is known

  show(timeline, points) {
    this.timeline = timeline;
    this.points = points;
    this.draw();
  }

  // Only partitions whose name or one of whose owners has this in it.
  sieve(text) {
    this.filter = text;
    this.row = null;
    this.draw();
  }

  tick() {
    if (document.hidden || (!this.axis.live && !this.open()) || this.dragging) return;
    if (this.still.matches && this.drawnAt && live.now() - this.drawnAt < 5000) return;
    this.draw();
  }

  // Whether something in sight goes on.
  open() {
    return this.axis.to >= live.now() - 2000;
  }

  at(ms, span) {
    this.pin = ms;
    if (span) this.axis.span = span;
    this.axis.now = live.now();
    if (this.axis.span === null) this.axis.span = 300000;
    this.axis.end = Math.min(ms + this.axis.length / 2, this.axis.now); // it stands still, also where the present is in sight
    this.draw();
  }

  draw() {
    const axis = this.axis;
    const width = this.board.clientWidth;
    if (!width) return;
    axis.now = live.now();
    this.drawnAt = axis.now;
    const watched = this.points[0]?.[0] ?? axis.now;
    axis.earliest = Math.min(watched, this.timeline.start_ms ?? watched);
    const topics = new Set(this.timeline.rows.map((row) => row.topic));
    const rows = this.timeline.rows
      .map((row) => ({ ...row, label: topics.size > 1 ? `${row.topic}-${row.partition}` : `P${row.partition}` }))
      .filter((row) => `${row.label} ${row.spans.map(([name]) => name).join(" ")}`.toLowerCase().includes(this.filter));
    const longest = rows.reduce((most, row) => Math.max(most, room(row.label, 12)), 0);
    axis.left = Math.min(Math.max(longest + 20, width < 600 ? 52 : 84), width < 600 ? 100 : 200);
    axis.width = Math.max(width - axis.left - 10, 40);
    const count = Math.max(rows.length, 1);
    const rowHeight = count <= 16 ? 24 : count <= 32 ? 18 : count <= 64 ? 14 : 11;
    if (this.row !== null && this.row >= rows.length) this.row = null;
    this.view = { axis, width, rows, rowHeight, row: this.row, timeline: this.timeline, watchedMs: watched, tornMs: Math.max((live.intervalS ?? 2) * 5000, 15000) };
    clip(this.clip, this.view);
    drawHead(this.head, this.view);
    drawRows(this.rowsSvg, this.view);
    const most = rows.length * rowHeight > MOST_ROWS_HEIGHT;
    this.rowsBox.style.maxHeight = most ? `${MOST_ROWS_HEIGHT}px` : "none";
    put(this.more, most ? `${rows.length} partitions: scroll, or filter them below` : "");
    for (const panel of panels(this.points)) drawLines(this.panelSvgs.get(panel.key), this.view, panel);
    drawAxis(this.axisSvg, this.view);
    for (const { span, node } of this.ranges) mark(node, "aria-pressed", String(axis.span === span || (span === 300000 && axis.span === null && axis.length >= span)));
    mark(this.liveButton, "aria-pressed", String(axis.live));
    this.drawLegend();
    this.drawPin();
    this.drawHair();
  }

  drawLegend() {
    const inSight = new Set(this.timeline.rows.flatMap((row) => row.spans.filter(([, start, end]) => this.axis.shows(start ?? 0, end ?? this.axis.now)).map(([name]) => name)));
    const key = `${JSON.stringify([...inSight])}${JSON.stringify(this.timeline.looks)}`;
    if (key === this.legendKey) return;
    this.legendKey = key;
    fill(
      this.legend,
      Object.entries(this.timeline.looks)
        .filter(([name]) => inSight.has(name))
        .map(([name, look]) => h("li", null, swatch(look), h("span", { class: "who", title: name }, short(name, 290, 13)))),
      h("li", { class: "dim" }, s("svg", { width: 22, height: 14, "aria-hidden": "true" }, s("rect", { width: 22, height: 14, fill: "url(#hatch)", class: "pause" })), "nobody reads it"),
      h("li", { class: "dim" }, s("svg", { width: 22, height: 14, "aria-hidden": "true" }, s("rect", { width: 22, height: 14, class: "band" })), "rebalance"),
    );
  }

  drawPin() {
    const here = this.pin !== null && this.pin >= this.axis.from && this.pin <= this.axis.to;
    this.pinLine.hidden = !here;
    if (!here) return;
    this.pinLine.style.transform = `translateX(${this.axis.x(this.pin).toFixed(1)}px)`;
    put(this.pinLine.firstChild, clock(this.pin, true));
  }

  // The hair, and what is where it stands

  drawHair() {
    const axis = this.axis;
    const shown = this.hair !== null && this.hair >= axis.from && this.hair <= axis.to;
    this.hairLine.hidden = this.tip.hidden = !shown;
    mark(this.board, "aria-valuemin", Math.round(axis.from));
    mark(this.board, "aria-valuemax", Math.round(axis.to));
    mark(this.board, "aria-valuenow", Math.round(shown ? this.hair : axis.to));
    const said = this.story(shown ? this.hair : axis.to);
    mark(this.board, "aria-valuetext", [said.when, ...said.lines.map(([name, words]) => `${name} ${words}`)].join(", "));
    if (!shown) return;
    const x = axis.x(this.hair);
    this.hairLine.style.transform = `translateX(${x.toFixed(1)}px)`;
    fill(this.tip, h("b", null, said.when), said.lines.map(([name, words, look]) => h("div", null, h("span", { class: "dim" }, name), " ", look && swatch(look, 12), look && " ", words)));
    const left = x > this.view.width / 2;
    this.tip.style.left = left ? "auto" : `${x + 12}px`;
    this.tip.style.right = left ? `${this.view.width - x + 12}px` : "auto";
    this.tip.style.top = `${Math.max(this.tipY ?? 34, 4)}px`;
  }

  story(ms) {
    const { rows, timeline, axis } = this.view;
    const lines = [];
    const row = this.row === null ? null : rows[this.row];
    if (row) {
      const span = row.spans.find(([, start, end]) => (start ?? 0) <= ms && ms < (end ?? Infinity));
      const gap = row.gaps.find(([start, end]) => start <= ms && ms < (end ?? Infinity));
      if (span) lines.push([row.label, `${span[0]}${span[1] === null ? "" : `, since ${clock(span[1])} (${age((Math.min(span[2] ?? axis.now, axis.now) - span[1]) / 1000)}${span[2] === null ? " so far" : ""})`}`, timeline.looks[span[0]]]);
      else if (!gap) lines.push([row.label, "nobody that is known of"]);
      if (gap) lines.push([span ? "pause" : row.label, `nobody read it for ${seconds((gap[1] ?? axis.now) - gap[0])}${gap[1] === null ? " so far" : ""}${gap[2] ? `: ${gap[2]}` : ""}`]);
    }
    const near = (this.axis.length / this.axis.width) * 4;
    for (const each of timeline.rebalances.filter((one) => one.start_ms - near <= ms && ms <= (one.end_ms ?? axis.now) + near).slice(-2)) lines.push([`rebalance ${each.number}`, `${each.words} (${each.end_ms === null ? `${seconds(axis.now - each.start_ms)} so far` : `took ${seconds(each.end_ms - each.start_ms)}`}${each.moved ? `, ${each.moved} moved` : ""})`]);
    for (const each of timeline.incidents.filter((one) => Math.abs(one.at_ms - ms) <= near).slice(-3)) lines.push([each.means, each.words]);
    const point = nearest(this.points, ms, this.view.tornMs);
    if (point) {
      if (point[1] !== null) lines.push(["lag", exact(point[1])]);
      if (point[2] !== null || point[3] !== null) lines.push(["in/out", `${rate(point[2])} / ${rate(point[3])} per s`]);
    }
    const today = Math.abs(axis.now - ms) < 43200000;
    return { when: today ? clock(ms, this.axis.length < 120000) : stamp(ms), lines };
  }

  // Ways to move

  range(span) {
    this.axis.range(span);
    this.draw();
  }

  follow() {
    this.axis.end = null;
    if (this.pin !== null) this.setPin(null);
    this.draw();
  }

  pan(share) {
    this.axis.pan(share);
    this.draw();
  }

  zoom(factor) {
    this.axis.zoom(factor, this.hair ?? (this.axis.live ? this.axis.to : (this.axis.from + this.axis.to) / 2));
    this.draw();
  }

  setPin(ms) {
    this.pin = ms;
    this.pinned(ms);
    this.drawPin();
  }

  point() {
    const board = this.board;
    const place = (event) => event.clientX - board.getBoundingClientRect().left;
    board.addEventListener("pointermove", (event) => {
      const x = place(event);
      if (this.dragging) return this.drag(x);
      if (event.pointerType === "touch") return;
      this.hover(event, x);
    });
    board.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      const x = place(event);
      if (event.pointerType === "touch") return this.hover(event, x);
      if (x >= this.axis.left) {
        this.dragging = { from: x };
        board.setPointerCapture(event.pointerId);
      }
    });
    board.addEventListener("pointerup", (event) => this.drop(place(event)));
    board.addEventListener("pointercancel", () => this.drop(null));
    board.addEventListener("pointerleave", () => {
      if (this.dragging || document.activeElement === board) return;
      this.hair = this.row = null;
      this.draw();
    });
    board.addEventListener("blur", () => {
      this.hair = this.row = null;
      this.draw();
    });
    board.addEventListener("dblclick", () => {
      this.axis.span = null;
      this.follow();
    });
    board.addEventListener("keydown", (event) => this.keys(event) && event.preventDefault());
  }

  hover(event, x) {
    const inside = x >= this.axis.left && x <= this.axis.left + this.axis.width;
    const box = this.rowsBox.getBoundingClientRect();
    const y = event.clientY - box.top;
    const row = inside && y >= 0 && y < box.height ? Math.floor((y + this.rowsBox.scrollTop) / this.view.rowHeight) : null;
    const moved = row !== this.row;
    this.row = row;
    this.hair = inside ? this.axis.ms(x) : null;
    this.tipY = event.clientY - this.board.getBoundingClientRect().top + 14;
    if (moved) this.draw();
    else this.drawHair();
  }

  drag(x) {
    const from = Math.max(Math.min(this.dragging.from, x), this.axis.left);
    const to = Math.min(Math.max(this.dragging.from, x), this.axis.left + this.axis.width);
    this.brush.hidden = to - from < DRAG;
    this.brush.style.left = `${from}px`;
    this.brush.style.width = `${to - from}px`;
  }

  drop(x) {
    const dragging = this.dragging;
    this.dragging = null;
    this.brush.hidden = true;
    if (!dragging || x === null) return;
    if (Math.abs(x - dragging.from) < DRAG) return this.setPin(this.axis.ms(x));
    this.axis.between(this.axis.ms(Math.min(x, dragging.from)), this.axis.ms(Math.max(x, dragging.from)));
    this.draw();
  }

  keys(event) {
    const step = (this.axis.length / 100) * (event.shiftKey ? 10 : 1);
    const wanted = {
      ArrowLeft: () => this.moveHair(-step),
      ArrowRight: () => this.moveHair(step),
      ArrowUp: () => this.moveRow(-1),
      ArrowDown: () => this.moveRow(1),
      Home: () => this.moveHair(this.axis.from - (this.hair ?? this.axis.to)),
      End: () => this.moveHair(this.axis.to - (this.hair ?? this.axis.to)),
      PageUp: () => this.pan(-0.5),
      PageDown: () => this.pan(0.5),
      "+": () => this.zoom(0.5),
      "=": () => this.zoom(0.5),
      "-": () => this.zoom(2),
      "[": () => this.jump(-1),
      "]": () => this.jump(1),
      Enter: () => this.hair !== null && this.setPin(this.hair),
      Escape: () => this.escape(),
    }[event.key];
    if (!wanted || event.ctrlKey || event.metaKey || event.altKey) return false;
    event.stopPropagation();
    wanted();
    return true;
  }

  moveHair(byMs) {
    this.tipY = 34;
    const wanted = Math.min((this.hair ?? this.axis.to) + byMs, this.axis.now);
    this.axis.reveal(wanted);
    this.hair = Math.max(wanted, this.axis.from);
    this.draw();
  }

  moveRow(by) {
    const last = this.view.rows.length - 1;
    if (last < 0) return;
    this.row = this.row === null ? (by > 0 ? 0 : last) : Math.min(Math.max(this.row + by, 0), last);
    this.hair ??= this.axis.to;
    this.tipY = 34;
    const top = this.row * this.view.rowHeight;
    if (top < this.rowsBox.scrollTop) this.rowsBox.scrollTop = top;
    if (top + this.view.rowHeight > this.rowsBox.scrollTop + this.rowsBox.clientHeight) this.rowsBox.scrollTop = top + this.view.rowHeight - this.rowsBox.clientHeight;
    this.draw();
  }

  jump(way) {
    const from = this.hair ?? this.axis.to;
    const moments = [...this.timeline.rebalances.map((each) => each.start_ms), ...this.timeline.incidents.map((each) => each.at_ms)].sort((one, other) => one - other);
    const found = way > 0 ? moments.find((each) => each > from + 1) : moments.findLast((each) => each < from - 1);
    if (found !== undefined) this.moveHair(found - from);
  }

  escape() {
    if (this.hair !== null) {
      this.hair = this.row = null;
      this.draw();
    } else this.follow();
  }
}

export function swatch(look, width = 22) {
  const height = width > 14 ? 14 : 10;
  const svg = s("svg", { class: "swatch", "aria-hidden": "true" }, s("rect", { width, height, rx: 2.5, fill: look.colour }), look.pattern ? s("rect", { width, height, rx: 2.5, fill: `url(#pattern-${look.pattern})` }) : null);
  if (width > 14) svg.append(s("text", { x: width / 2, y: 10.7, class: "swatch-halo", stroke: look.colour }, look.sign), s("text", { x: width / 2, y: 10.7, class: "swatch-sign", fill: look.ink }, look.sign));
  size(svg, width, height);
  return svg;
}

function nearest(points, ms, most) {
  let best = null;
  for (const point of points) if (best === null || Math.abs(point[0] - ms) < Math.abs(best[0] - ms)) best = point;
  return best !== null && Math.abs(best[0] - ms) <= most ? best : null;
}
