// Numbers, times and judgements for people, in the same words as in the terminal.

export const NONE = "–";

export const LEVELS = {
  "caught up": "✓",
  stable: "→",
  falling: "↓",
  growing: "↑",
  "very large": "⇈",
  unknown: "·",
};

export const SEVERITIES = { critical: "✖", warning: "!", info: "i" };

export const QUALITIES = {
  exact: "exact",
  "at-least": "at least: older records were removed before they were read",
  about: "about: between two looks, or by a batch's first record",
  clock: "unknown: the records' timestamps are missing or in the future",
  unknown: "unknown",
};

export const METHODS = {
  "caught-up": "nothing is left to read",
  record: "from the timestamp of the first unread record",
  search: "by asking for offsets of timestamps",
  history: "from when the log's end was seen at the committed offset",
  none: "not known",
};

const SIGNS = { "at-least": "≥", about: "~" };

const whole = new Intl.NumberFormat("en-US");

export function count(number) {
  if (number === null || number === undefined) return NONE;
  if (Math.abs(number) < 100000) return whole.format(number);
  for (const [unit, size] of [["k", 1e3], ["M", 1e6], ["G", 1e9], ["T", 1e12]]) {
    const scaled = number / size;
    if (Math.abs(scaled) < 99.95 && unit !== "k") return `${scaled.toFixed(1)}${unit}`;
    if (Math.abs(scaled) < 999.5) return `${scaled.toFixed(0)}${unit}`;
  }
  return number.toExponential(1);
}

export const exact = (number) => (number === null || number === undefined ? NONE : whole.format(number));

const two = (number) => String(number).padStart(2, "0");

export function age(seconds) {
  if (seconds < 9.95) return `${Math.max(seconds, 0).toFixed(1)}s`;
  const all = Math.round(seconds);
  if (all < 60) return `${all}s`;
  if (all < 3600) return `${Math.floor(all / 60)}m${two(all % 60)}s`;
  if (all < 86400) return `${Math.floor(all / 3600)}h${two(Math.floor((all % 3600) / 60))}m`;
  if (all < 8640000) return `${Math.floor(all / 86400)}d${two(Math.floor((all % 86400) / 3600))}h`;
  return `${Math.floor(all / 86400)}d`;
}

export function late(time) {
  if (time.quality === "clock") return "?";
  if (time.s === null) return NONE;
  if (time.method === "caught-up") return "0s";
  return (SIGNS[time.quality] ?? "") + age(time.s);
}

export function lateWords(time) {
  const parts = [`${QUALITIES[time.quality] ?? time.quality}; ${METHODS[time.method] ?? time.method}`];
  if (time.event_delay_s !== null) parts.push(`${age(time.event_delay_s)} behind the newest record`);
  return parts.join("; ");
}

export function rate(perSecond) {
  if (perSecond === null || perSecond === undefined) return NONE;
  return perSecond > 0 && perSecond < 9.95 ? perSecond.toFixed(1) : count(Math.round(perSecond));
}

export const many = (number, noun, plural) => `${whole.format(number)} ${number === 1 ? noun : plural ?? `${noun}s`}`;

export function clock(ms, tenths = false) {
  const at = new Date(ms);
  const text = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return tenths ? `${text}.${Math.floor(at.getMilliseconds() / 100)}` : text;
}

export function stamp(ms) {
  const at = new Date(ms);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock(ms)}`;
}

export function seconds(ms) {
  if (ms < 100) return `${(ms / 1000).toFixed(2)} s`;
  return ms < 99950 ? `${(ms / 1000).toFixed(1)} s` : `${(ms / 1000).toFixed(0)} s`;
}

// A moment from an address: milliseconds, ISO 8601, or a time of day (the latest that has been).
export function moment(text, nowMs) {
  if (/^\d{12,14}$/.test(text)) return Number(text);
  const day = /^([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:\.(\d))?)?$/.exec(text);
  if (day) {
    const at = new Date(nowMs);
    at.setHours(Number(day[1]), Number(day[2]), Number(day[3] ?? 0), Number(day[4] ?? 0) * 100);
    return at.getTime() > nowMs ? at.getTime() - 86400000 : at.getTime();
  }
  if (!/^\d{4}-\d\d-\d\d(T[\d:.]+(Z|[+-]\d\d:\d\d)?)?$/.test(text)) return null;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : ms;
}

export const momentText = (ms) => new Date(Math.round(ms / 100) * 100).toISOString().replace(/\.000Z$/, "Z").replace(/00Z$/, "Z");
