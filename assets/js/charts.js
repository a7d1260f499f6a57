// Charts of our own, in SVG. Every one has a name that says what it shows, and the same figures as a table below it.

import { h, printable, s } from "./dom.js";

const WIDTH = 800;
const HEIGHT = 180;
const BOTTOM = 26;
/** Lines of a bar chart; the rest is in the table. */
const LINES = 8;

/** One column for each day. */
export function days({ label, measure, days: all }) {
  const top = nice(Math.max(...all.map(measure.of), 0), measure.isWhole);
  const step = WIDTH / all.length;
  const columns = all.map((day, n) => {
    const value = measure.of(day);
    const height = top ? Math.max(value > 0 ? 2 : 0, (value / top) * (HEIGHT - BOTTOM - 12)) : 0;
    return s("g", {}, s("rect", { class: "hit", x: n * step, y: 0, width: step, height: HEIGHT - BOTTOM }),
      s("rect", { class: "column", x: n * step + step * 0.12, y: HEIGHT - BOTTOM - height, width: step * 0.76, height, rx: Math.min(2, step / 6) }),
      s("title", {}, `${dayName(day.date)}: ${measure.text(value)}`));
  });
  const lines = [0.5, 1].filter((part) => !measure.isWhole || Number.isInteger(top * part)).map((part) => {
    const y = HEIGHT - BOTTOM - part * (HEIGHT - BOTTOM - 12);
    return [s("line", { class: "rule", x1: 0, x2: WIDTH, y1: y, y2: y }), s("text", { class: "scale", x: 0, y: y - 3 }, measure.text(top * part))];
  });
  const marks = [0, Math.floor(all.length / 2), all.length - 1].map((n, place) => s("text", {
    class: "scale", x: place === 0 ? 0 : place === 1 ? (n + 0.5) * step : WIDTH, y: HEIGHT - 4, "text-anchor": ["start", "middle", "end"][place],
  }, dayName(all[n].date)));
  return figure(label, s("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${label}. ${summary(all, measure)}` },
    top ? lines : null, columns, s("line", { class: "axis", x1: 0, x2: WIDTH, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM }), marks), table("Day", all.filter((day) => measure.of(day) > 0).map((day) => [dayName(day.date), measure.text(measure.of(day))]), measure));
}

/** One bar for each name, the longest first. */
export function bars({ label, measure, items }) {
  const sorted = items.filter((item) => measure.of(item) > 0).sort((a, b) => measure.of(b) - measure.of(a));
  if (!sorted.length) return h("p", { class: "dim" }, "Nothing in this time.");
  const top = measure.of(sorted[0]);
  const lines = sorted.slice(0, LINES).map((item) => {
    const share = (measure.of(item) / top) * 100;
    return h("li", {}, h("span", { class: "bar-name" }, h("bdi", { title: printable(item.name) }, printable(item.name))), h("span", { class: "bar-value" }, measure.text(measure.of(item))),
      s("svg", { class: "bar-line", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" }, s("rect", { class: "track", width: 100, height: 6 }), s("rect", { class: "column", width: share, height: 6 })));
  });
  const rest = sorted.length > LINES ? h("details", { class: "figures-table" }, h("summary", {}, `All ${sorted.length}`), numbers("Name", sorted.map((item) => [printable(item.name), measure.text(measure.of(item))]), measure)) : null;
  return h("div", {}, h("ol", { class: "bars", "aria-label": label }, lines), rest);
}

/** A square for each day, a column for each week. */
export function heatMap({ label, measure, days: all }) {
  const cell = 15;
  const first = new Date(`${all[0].date}T00:00:00Z`).getUTCDay();
  const levels = quarters(all.map(measure.of).filter((value) => value > 0));
  const squares = all.map((day, n) => {
    const at = n + first;
    const value = measure.of(day);
    const level = value > 0 ? 1 + levels.filter((edge) => value > edge).length : 0;
    return s("rect", { class: `heat-${level}`, x: 30 + Math.floor(at / 7) * cell, y: 18 + (at % 7) * cell, width: cell - 3, height: cell - 3, rx: 2 }, s("title", {}, `${dayName(day.date)}: ${measure.text(value)}`));
  });
  const names = ["Mon", "Wed", "Fri"].map((name, n) => s("text", { class: "scale", x: 0, y: 18 + (2 * n + 1) * cell + 10 }, name));
  const months = all.map((day, n) => ({ day, week: Math.floor((n + first) / 7) })).filter(({ day }) => day.date.endsWith("-01"))
    .map(({ day, week }) => s("text", { class: "scale", x: 30 + week * cell, y: 11 }, new Date(`${day.date}T12:00:00Z`).toLocaleDateString("en", { month: "short" })));
  const width = 30 + Math.ceil((all.length + first) / 7) * cell;
  const drawing = s("svg", { class: "heat", viewBox: `0 0 ${width} ${18 + 7 * cell}`, width, height: 18 + 7 * cell, role: "img", "aria-label": `${label}. ${summary(all, measure)}` }, names, months, squares);
  return figure(label, h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, drawing), table("Day", all.filter((day) => measure.of(day) > 0).map((day) => [dayName(day.date), measure.text(measure.of(day))]), measure));
}

const figure = (label, drawing, figures) => h("figure", { "aria-label": label }, drawing, figures);

function summary(all, measure) {
  const active = all.filter((day) => measure.of(day) > 0);
  if (!active.length) return "Nothing in this time.";
  const most = active.reduce((a, b) => (measure.of(b) > measure.of(a) ? b : a));
  return `${active.length} active days; most on ${dayName(most.date)}: ${measure.text(measure.of(most))}.`;
}

const table = (name, rows, measure) => h("details", { class: "figures-table" }, h("summary", {}, "As a table"), numbers(name, rows, measure));

const numbers = (name, rows, measure) => h("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": "Figures" }, h("table", { class: "numbers" },
  h("thead", {}, h("tr", {}, h("th", { scope: "col" }, name), h("th", { scope: "col" }, measure.label))),
  h("tbody", {}, rows.map(([head, value]) => h("tr", {}, h("th", { scope: "row" }, head), h("td", {}, value))))));

const dayName = (date) => new Date(`${date}T12:00:00Z`).toLocaleDateString("en", { day: "numeric", month: "short", timeZone: "UTC" });

/** The next round number: `value` itself, or at most a third more. */
function nice(value, isWhole = false) {
  if (value <= 0) return 0;
  const power = 10 ** Math.floor(Math.log10(value));
  const steps = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].map((step) => step * power);
  return steps.find((step) => step >= value && (!isWhole || Number.isInteger(step)));
}

function quarters(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return [0.25, 0.5, 0.75].map((part) => sorted[Math.floor(part * (sorted.length - 1))] ?? 0);
}
