// Numbers, times and places as a person reads them.

const number = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const ago = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });

/** 1234567 as `1,234,567`. */
export const count = (value) => number.format(value ?? 0);

/** 1234567 as `1.23M`. */
export const short = (value) => compact.format(value ?? 0);

/** `1 message`, `2 messages`. */
export const many = (value, one, more = `${one}s`) => `${count(value)} ${value === 1 ? one : more}`;

/** Dollars; what no price is known for is not called free. */
export function cost(value) {
  if (value === null || value === undefined) return "no price";
  if (value > 0 && value < 0.01) return "<$0.01";
  return value >= 1000 ? `$${short(value)}` : `$${value.toFixed(2)}`;
}

/** 1234567 bytes as `1.2 MB`. */
export function bytes(value) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let power = 0;
  let rest = value ?? 0;
  while (rest >= 1000 && power < units.length - 1) {
    rest /= 1000;
    power += 1;
  }
  return `${power === 0 || rest >= 100 ? Math.round(rest) : rest.toFixed(1)} ${units[power]}`;
}

const STEPS = [[60, "second", 1], [3600, "minute", 60], [86400, "hour", 3600], [86400 * 14, "day", 86400]];

/** `5 min. ago`; a date when it is long ago. */
export function relative(time, now = Date.now()) {
  if (!time) return "";
  const seconds = Math.round((Date.parse(time) - now) / 1000);
  const step = STEPS.find(([limit]) => Math.abs(seconds) < limit);
  if (!step) return day.format(new Date(time));
  return Math.abs(seconds) < 45 ? "just now" : ago.format(Math.round(seconds / step[2]), step[1]);
}

/** The day in the reader's zone: `Today`, `Yesterday`, a date. */
export function dayOf(time, now = Date.now()) {
  const then = day.format(new Date(time));
  if (then === day.format(new Date(now))) return "Today";
  return then === day.format(new Date(now - 86_400_000)) ? "Yesterday" : then;
}

/** Date and time in the reader's zone. */
export const moment = (time) => (time ? full.format(new Date(time)) : "");

/** A path below the home folder begins with `~`. */
export const place = (path) => (path ?? "").replace(/^(\/home\/[^/]+|\/Users\/[^/]+|\/root)(?=\/|$)/, "~");

/** Tokens that went in and came out, and what they cost. */
export function usage(value) {
  const input = (value.input_tokens ?? 0) + (value.cache_read_tokens ?? 0);
  const parts = [`${short(input)} in`, `${short(value.output_tokens)} out`];
  if (value.cost_usd !== null && value.cost_usd !== undefined) parts.push(cost(value.cost_usd));
  return parts.join(" · ");
}
