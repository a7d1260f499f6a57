// A year at a glance: sessions, tokens and cost by day, tool, project and model.

import { get } from "./api.js";
import { bars, days as dayChart, heatMap } from "./charts.js";
import { h } from "./dom.js";
import { cost, count, place, short } from "./format.js";
import { empty } from "./notice.js";
import { rewrite } from "./router.js";

const MEASURES = {
  sessions: { label: "Sessions", of: (sums) => sums.sessions, text: count, isWhole: true },
  tokens: { label: "Tokens", of: (sums) => (sums.input_tokens ?? 0) + (sums.cache_read_tokens ?? 0) + (sums.output_tokens ?? 0), text: short },
  cost: { label: "Cost", of: (sums) => sums.cost_usd ?? 0, text: cost },
};
const RANGES = [[30, "30 days"], [90, "90 days"], [365, "A year"]];

export default async function view(context) {
  const overview = new Overview(context);
  await overview.load();
  return "Overview";
}

class Overview {
  constructor({ main, signal, query }) {
    Object.assign(this, { main, signal });
    this.measure = query.get("by") in MEASURES ? query.get("by") : "sessions";
    this.range = RANGES.some(([days]) => String(days) === query.get("days")) ? Number(query.get("days")) : 90;
  }

  async load() {
    const until = new Date();
    const since = new Date(until.getTime() - (this.range - 1) * 86_400_000);
    const [year, part] = await Promise.all([
      get("/api/web/stats", {}, this.signal),
      get("/api/web/stats", { since: since.toISOString().slice(0, 10) }, this.signal),
    ]);
    Object.assign(this, { year, part, since });
    this.draw();
  }

  draw() {
    if (!this.year.total.sessions) {
      this.main.replaceChildren(h("h1", {}, "Overview"), empty("Nothing to count yet", h("p", {}, "As soon as there is a session, its tokens and costs appear here.")));
      return;
    }
    const measure = MEASURES[this.measure];
    const { part } = this;
    const days = every(this.since, this.range, part.days);
    const list = (label, items, name) => card(label, bars({ label: `${measure.label} by ${label.toLowerCase()}`, measure, items: items.map((item) => ({ ...item, name: name(item) })) }));
    this.main.replaceChildren(
      h("div", { class: "page-head" }, h("h1", { tabindex: "-1" }, "Overview"), this.choices("Time", RANGES, this.range, (value) => this.turn({ range: value }))),
      h("div", { class: "totals" }, total("Sessions", count(part.total.sessions)), total("Tokens in", short((part.total.input_tokens ?? 0) + (part.total.cache_read_tokens ?? 0))), total("Tokens out", short(part.total.output_tokens)), total("Cost", cost(part.total.cost_usd))),
      this.choices("Measure", Object.entries(MEASURES).map(([value, { label }]) => [value, label]), this.measure, (value) => this.turn({ measure: value })),
      card(`${measure.label} per day`, dayChart({ label: `${measure.label} per day`, measure, days })),
      h("div", { class: "grid" },
        list("Tool", part.tools, (item) => item.name),
        list("Model", part.models, (item) => item.name || "unknown"),
        list("Project", part.projects, (item) => place(item.path ?? item.name) || "no project")),
      card("The last year", heatMap({ label: `${measure.label} on each day of the last year`, measure, days: every(new Date(Date.now() - 370 * 86_400_000), 371, this.year.days) })));
  }

  choices(label, choices, chosen, turn) {
    return h("div", { class: "choices", role: "group", "aria-label": label }, choices.map(([value, text]) =>
      h("button", { type: "button", "aria-pressed": String(value === chosen), onclick: () => turn(value) }, text)));
  }

  async turn(change) {
    Object.assign(this, change);
    const query = new URLSearchParams({ by: this.measure, days: this.range });
    rewrite(`/overview?${query}`);
    const pressed = document.activeElement?.textContent;
    if (change.range) await this.load();
    else this.draw();
    [...this.main.querySelectorAll(".choices button")].find((button) => button.textContent === pressed)?.focus();
  }
}

const card = (heading, ...body) => h("section", { class: "card" }, h("h2", {}, heading), ...body);
const total = (label, value) => h("div", { class: "total" }, h("span", { class: "dim" }, label), h("strong", {}, value));

/** A day for each day: those on which nothing happened are not told. */
function every(since, length, told) {
  const byDate = new Map(told.map((day) => [day.date, day]));
  return Array.from({ length }, (_, n) => {
    const date = new Date(since.getTime() + n * 86_400_000).toISOString().slice(0, 10);
    return byDate.get(date) ?? { date, sessions: 0, input_tokens: 0, output_tokens: 0, cost_usd: 0 };
  });
}
