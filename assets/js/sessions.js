// The list of sessions: filters in the address, pages, selection, and what can be done with several at once.

import { get } from "./api.js";
import { bulkBar } from "./bulk.js";
import { Filters } from "./filters.js";
import { h, hidden } from "./dom.js";
import { count, dayOf, many } from "./format.js";
import { bind } from "./keyboard.js";
import { follow } from "./live.js";
import { empty, failed, waiting } from "./notice.js";
import { row } from "./row.js";

const PAGE_SIZE = 50;

export default async function view(context) {
  const list = new SessionList(context);
  return list.open();
}

class SessionList {
  constructor(context) {
    this.context = context;
    this.chosen = new Map();
    this.sessions = [];
    this.last = null;
    this.filters = new Filters(context.query, () => this.load());
    this.rows = h("ol", { class: "sessions", "aria-label": "Sessions", onclick: (event) => this.choose(event) });
    this.head = h("div", { class: "list-head" });
    this.place = h("div", { class: "list-body" }, waiting(10));
    this.pager = h("nav", { class: "pager", "aria-label": "Pages" });
  }

  async open() {
    const { main, signal } = this.context;
    main.className = "wide";
    main.replaceChildren(h("h1", { class: "sr" }, "Sessions"), this.filters.node, this.head, this.place, this.pager);
    this.filters.learn(await get("/api/web/facets", {}, signal));
    await this.load();
    bind({
      "/": ["Search", () => this.filters.search.focus()],
      j: ["Next session", () => this.step(1)],
      k: ["Previous session", () => this.step(-1)],
      x: ["Select the session", () => this.toggle()],
    }, signal);
    follow(null, () => this.load({ quietly: true }), signal);
    return "Sessions";
  }

  async load({ quietly = false } = {}) {
    this.pending?.abort();
    this.pending = new AbortController();
    const signal = AbortSignal.any([this.pending.signal, this.context.signal]);
    if (!quietly) this.place.setAttribute("aria-busy", "true");
    try {
      const answer = await get("/api/web/sessions", { ...this.filters.values(), page_size: PAGE_SIZE }, signal);
      this.draw(answer, quietly);
    } catch (error) {
      if (error.name === "AbortError") return;
      if (quietly) throw error;
      this.chosen.clear();
      if (this.answer) this.drawHead();
      this.place.replaceChildren(failed(error, () => this.load()));
    }
    this.place.removeAttribute("aria-busy");
  }

  draw(answer, quietly = false) {
    this.answer = answer;
    this.sessions = answer.sessions;
    // Nothing is done with what is not in sight.
    const inSight = new Set(answer.sessions.map(({ id }) => id));
    for (const id of this.chosen.keys()) if (!inSight.has(id)) this.chosen.delete(id);
    if (!quietly) this.last = null;
    const focused = document.activeElement?.closest?.("li[data-id]")?.dataset.id;
    if (answer.sessions.length) {
      const days = answer.sessions.map((session) => (this.filters.isByTime() ? dayOf(session.updated_at) : null));
      this.rows.replaceChildren(...answer.sessions.map((session, n) => row(session, this.chosen.has(session.id), days[n] === days[n - 1] ? null : days[n])));
      this.place.replaceChildren(this.rows);
    } else {
      this.place.replaceChildren(this.nothing());
    }
    if (focused) this.rows.querySelector(`li[data-id="${focused}"] a.title`)?.focus({ preventScroll: true });
    // Whoever has a menu open or is about to press a button is left alone.
    if (!quietly || !this.head.matches(":focus-within, :has(details[open])")) this.drawHead();
    this.drawPager();
  }

  nothing() {
    const { total, page, is_whole: isWhole } = this.answer;
    if (total > 0) {
      return empty(`There is no page ${count(page)}`, h("p", {}, `The list has ${many(Math.ceil(total / this.answer.page_size), "page")}.`),
        h("p", {}, h("button", { type: "button", class: "button", onclick: () => this.filters.turn(1) }, "First page")));
    }
    if (isWhole === false && !this.filters.isThorough()) {
      return empty("Nothing found so far", h("p", {}, "Not everything was looked through yet."), h("p", {}, this.further("button")));
    }
    if (this.filters.isSet()) {
      return empty("No session fits", h("p", {}, "Take a filter away, or search for fewer words."),
        h("p", {}, h("button", { type: "button", class: "button", onclick: () => this.filters.clear() }, "Clear all filters")));
    }
    const first = this.context.me.is_local ? "sfs import" : "sfs push";
    const why = this.context.me.is_local ? "captures what your tools have" : "sends the sessions of this machine here";
    return empty("No sessions yet", h("p", {}, h("code", {}, first), ` ${why}; this page shows them at once.`));
  }

  drawHead() {
    const { total, is_whole: isWhole } = this.answer;
    const all = h("input", { type: "checkbox", "aria-label": "Select all sessions of this page", onchange: (event) => this.chooseAll(event.target.checked) });
    const here = this.sessions.filter((session) => this.chosen.has(session.id)).length;
    all.checked = here > 0 && here === this.sessions.length;
    all.indeterminate = here > 0 && here < this.sessions.length;
    const partial = isWhole === false ? [h("span", { class: "warn" }, " · not everything was looked through "), this.filters.isThorough() ? null : this.further("link")] : null;
    const line = this.chosen.size
      ? bulkBar(this.chosen, { isDeleted: this.filters.isDeleted(), done: () => this.finish(), clear: () => this.clear() })
      : [h("span", { class: "total", role: "status" }, many(total, "session"), partial), this.filters.sort];
    this.head.replaceChildren(h("label", { class: "check" }, all), ...[line].flat());
    this.head.classList.toggle("choosing", this.chosen.size > 0);
  }

  /** A list is there at once: what takes longer is for who asks for it. */
  further(kind) {
    return h("button", { type: "button", class: kind, onclick: () => this.filters.set("further", "1") }, "Look further");
  }

  drawPager() {
    const { total, page, page_size: size } = this.answer;
    const pages = Math.max(1, Math.ceil(total / size));
    const to = (number, label, drawing, rel) => {
      const isThere = number >= 1 && number <= pages;
      const press = () => this.filters.turn(number);
      return h("button", { type: "button", class: "button", disabled: !isThere, rel, onclick: press }, drawing, label);
    };
    this.pager.hidden = pages === 1;
    this.pager.replaceChildren(
      to(page - 1, "Previous"),
      h("span", { class: "dim" }, `Page ${count(page)} of ${count(pages)}`),
      to(page + 1, "Next"),
    );
  }

  choose(event) {
    const box = event.target.closest("input[type=checkbox]");
    if (!box) return;
    const at = this.sessions.findIndex((session) => session.id === box.closest("li").dataset.id);
    const from = event.shiftKey && this.last !== null ? this.last : at;
    for (const session of this.sessions.slice(Math.min(from, at), Math.max(from, at) + 1)) this.set(session, box.checked);
    this.last = at;
    this.drawHead();
  }

  chooseAll(isChosen) {
    for (const session of this.sessions) this.set(session, isChosen);
    this.drawHead();
    this.head.querySelector("input").focus();
  }

  set(session, isChosen) {
    if (isChosen) this.chosen.set(session.id, session);
    else this.chosen.delete(session.id);
    const line = this.rows.querySelector(`li[data-id="${session.id}"]`);
    line.classList.toggle("chosen", isChosen);
    line.querySelector("input").checked = isChosen;
  }

  clear() {
    this.chosen.clear();
    this.draw(this.answer);
  }

  async finish() {
    this.chosen.clear();
    this.filters.learn(await get("/api/web/facets", {}, this.context.signal));
    await this.load();
  }

  /** The keyboard's way down and up. */
  step(by) {
    const links = [...this.rows.querySelectorAll("a.title")];
    const at = links.indexOf(document.activeElement?.closest?.("li")?.querySelector("a.title"));
    links[Math.max(0, Math.min(links.length - 1, at < 0 ? 0 : at + by))]?.focus();
  }

  toggle() {
    const line = document.activeElement?.closest?.("li[data-id]");
    const session = line && this.sessions.find(({ id }) => id === line.dataset.id);
    if (!session) return;
    this.set(session, !this.chosen.has(session.id));
    this.drawHead();
  }
}
