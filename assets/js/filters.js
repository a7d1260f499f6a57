// What narrows the list down. The address holds it all, so that a filtered list can be kept, sent and gone back to.

import { h, hidden, printable } from "./dom.js";
import { count, place } from "./format.js";
import { icon } from "./icons.js";
import { rewrite } from "./router.js";

const NAMES = ["q", "tool", "project", "model", "tag", "since", "until", "deleted", "sort", "page", "further"];
/** What is no filter: how the list is shown, and how long is looked for. */
const MANNERS = ["sort", "page", "further"];
const SORTS = [["updated", "Last active"], ["created", "Newest"], ["messages", "Most messages"], ["tokens", "Most tokens"], ["cost", "Highest cost"]];
/** A person who types is not interrupted. */
const QUIET = 250;

/** The filters above the list; `changed` is called when one of them is another. */
export class Filters {
  constructor(query, changed) {
    this.changed = changed;
    this.state = new Map(NAMES.filter((name) => query.get(name)).map((name) => [name, query.get(name)]));
    this.search = h("input", { type: "search", name: "q", value: this.state.get("q") ?? "", "aria-label": "Search in everything that was said", placeholder: "Search in everything that was said", oninput: () => this.typed() });
    this.selects = [["tool", "Tool"], ["project", "Project"], ["model", "Model"], ["tag", "Tag"]].map(([name, label]) => this.select(name, label));
    this.dates = [["since", "From"], ["until", "To"]].map(([name, label]) => this.date(name, label));
    this.deleted = h("input", { type: "checkbox", onchange: () => this.set("deleted", this.deleted.checked ? "1" : "") });
    this.deleted.checked = this.isDeleted();
    this.sort = h("label", { class: "sort" }, h("span", {}, "Sort"), h("select", { name: "sort", "aria-label": "Sort", onchange: (event) => this.set("sort", event.target.value) },
      SORTS.map(([value, label]) => h("option", { value, selected: value === (this.state.get("sort") ?? "updated") }, label))));
    this.reset = h("button", { type: "button", class: "ghost", onclick: () => this.clear() }, "Clear");
    this.node = this.draw();
    this.show();
  }

  draw() {
    const wide = window.matchMedia("(min-width: 52rem)");
    const more = h("details", { class: "more-filters", open: wide.matches },
      h("summary", { class: "button" }, "Filters", h("span", { class: "badge" })),
      h("div", { class: "filter-row" }, this.selects.map(({ node }) => node), this.dates.map(({ node }) => node),
        h("label", { class: "inline" }, this.deleted, "Deleted"), this.reset));
    wide.addEventListener("change", () => (more.open = wide.matches));
    this.badge = more.querySelector(".badge");
    return h("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
      h("div", { class: "search-box" }, icon("search"), this.search), more);
  }

  select(name, label) {
    const control = h("select", { name, onchange: () => this.set(name, control.value) }, h("option", { value: "" }, `Any ${label.toLowerCase()}`));
    return { name, label, control, node: h("label", {}, hidden(label), control) };
  }

  date(name, label) {
    const control = h("input", { type: "date", name, value: (this.state.get(name) ?? "").slice(0, 10), onchange: () => this.set(name, control.value) });
    return { name, control, node: h("label", { class: "inline" }, h("span", { class: "dim" }, label), control) };
  }

  /** What there is to choose from. */
  learn({ tools, projects, models, tags }) {
    const choices = {
      tool: tools.map(({ id, name, count: n }) => [id, `${name} (${count(n)})`]),
      project: projects.map(({ path, count: n }) => [path, `${place(path)} (${count(n)})`]),
      model: models.map(({ name, count: n }) => [name, `${name} (${count(n)})`]),
      tag: tags.map(({ name, count: n }) => [name, `${name} (${count(n)})`]),
    };
    for (const { name, label, control } of this.selects) {
      const value = this.state.get(name) ?? "";
      const options = choices[name].some(([id]) => id === value) || !value ? choices[name] : [...choices[name], [value, value]];
      control.replaceChildren(h("option", { value: "" }, `Any ${label.toLowerCase()}`), ...options.map(([id, text]) => h("option", { value: id }, printable(text))));
      control.value = value;
    }
  }

  values() {
    return Object.fromEntries(this.state);
  }

  isDeleted() {
    return this.state.get("deleted") === "1";
  }

  /** Whether the newest comes first. */
  isByTime() {
    return (this.state.get("sort") ?? "updated") === "updated" && !this.state.has("q");
  }

  /** Whether everything is looked through, however long that takes. */
  isThorough() {
    return this.state.has("further");
  }

  isSet() {
    return NAMES.some((name) => !MANNERS.includes(name) && this.state.has(name));
  }

  typed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.set("q", this.search.value.trim()), QUIET);
  }

  set(name, value) {
    if (value) this.state.set(name, value);
    else this.state.delete(name);
    if (name !== "page") this.state.delete("page");
    if (!MANNERS.includes(name)) this.state.delete("further");
    this.keep();
    this.changed();
  }

  turn(page) {
    this.state.delete("page");
    if (page > 1) this.state.set("page", String(page));
    this.keep({ push: true });
    window.scrollTo(0, 0);
    this.changed();
  }

  clear() {
    const sort = this.state.get("sort");
    this.state = new Map(sort ? [["sort", sort]] : []);
    this.search.value = "";
    this.deleted.checked = false;
    for (const { control } of [...this.selects, ...this.dates]) control.value = "";
    this.keep();
    this.changed();
  }

  keep(options) {
    const query = new URLSearchParams([...this.state]);
    rewrite(query.size ? `/sessions?${query}` : "/sessions", options);
    this.show();
  }

  show() {
    const set = [...this.state.keys()].filter((name) => name !== "q" && !MANNERS.includes(name)).length;
    this.badge.textContent = set ? String(set) : "";
    this.reset.classList.toggle("unseen", !this.isSet());
    for (const { control } of [...this.selects, ...this.dates]) control.classList.toggle("set", Boolean(control.value));
  }
}
