// The time that the timeline, the lag and the rates share: from when to when, where that is on the screen, its ticks.

const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

const LEAST_MS = 4000;
const MOST_MS = 14 * 86400000;
const FIRST_MS = 300000;

export class Axis {
  constructor() {
    this.left = 60;
    this.width = 400;
    this.span = null; // null: whatever is known, 5 minutes of it at most; "all": everything
    this.end = null; // null: the present
    this.earliest = 0;
    this.now = 0;
  }

  get live() {
    return this.end === null;
  }

  get length() {
    const known = Math.max(this.now - this.earliest, 0);
    if (this.span === null) return Math.min(Math.max(known * 1.04, 30000), FIRST_MS);
    if (this.span === "all") return Math.min(Math.max(known * 1.02, 30000), MOST_MS);
    return this.span;
  }

  get to() {
    return this.end ?? this.now;
  }

  get from() {
    return this.to - this.length;
  }

  x(ms) {
    return this.left + ((ms - this.from) / this.length) * this.width;
  }

  // The same, but no further than the plot's edges.
  edge(ms) {
    return Math.min(Math.max(this.x(ms), this.left), this.left + this.width);
  }

  ms(x) {
    const share = Math.min(Math.max((x - this.left) / this.width, 0), 1);
    return this.from + share * this.length;
  }

  shows(start, end) {
    return end >= this.from && start <= this.to;
  }

  range(span) {
    const middle = this.live ? null : (this.from + this.to) / 2;
    this.span = span;
    if (middle !== null) this.around(middle);
  }

  between(from, to) {
    this.span = Math.min(Math.max(to - from, LEAST_MS), MOST_MS);
    this.until((from + to) / 2 + this.span / 2);
  }

  around(ms) {
    this.until(ms + this.length / 2);
  }

  zoom(factor, around) {
    const from = this.from;
    const share = (around - from) / this.length;
    const length = Math.min(Math.max(this.length * factor, LEAST_MS), MOST_MS);
    const wasLive = this.live;
    this.span = length;
    if (!wasLive) this.until(around + (1 - share) * length);
  }

  pan(share) {
    const end = this.to + share * this.length;
    this.span = this.length;
    this.until(end);
  }

  // Keeps a moment in sight, moving as little as need be.
  reveal(ms) {
    if (ms < this.from || ms > this.to) {
      this.span = this.length;
      this.around(ms);
    }
  }

  until(end) {
    this.end = end >= this.now ? null : end;
  }

  ticks() {
    const most = Math.max(this.width / 84, 2);
    const step = 1000 * (STEPS_S.find((each) => (this.length / 1000) / each <= most) ?? 86400);
    const zone = new Date(this.to).getTimezoneOffset() * 60000;
    const found = [];
    for (let at = Math.ceil((this.from - zone) / step) * step + zone; at <= this.to; at += step) found.push(at);
    return { step, at: found };
  }
}

// A round number at or above the largest value.
export function roundTop(value) {
  if (!(value > 0)) return 1;
  const unit = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((each) => each * unit).find((each) => each >= value * 0.999) ?? 10 * unit;
}
