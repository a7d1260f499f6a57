// Find in the session: the server looks through all of it, the page jumps. Marks are the browser's own highlights, so
// that nothing in the text changes.

import { get } from "./api.js";
import { h, hidden } from "./dom.js";
import { count } from "./format.js";
import { icon } from "./icons.js";

const QUIET = 200;

/** The bar above the messages. */
export class Find {
  constructor(session) {
    this.session = session;
    this.matches = [];
    this.at = -1;
    this.input = h("input", { type: "search", "aria-label": "Find in this session", placeholder: "Find in this session", oninput: () => this.typed(), onkeydown: (event) => this.key(event) });
    this.state = h("span", { class: "dim state", role: "status" });
    const step = (by, drawing, label) => h("button", { type: "button", class: "ghost", title: label, onclick: () => this.step(by) }, icon(drawing), hidden(label));
    this.node = h("form", { class: "find", role: "search", onsubmit: (event) => event.preventDefault() },
      h("div", { class: "search-box" }, icon("search"), this.input), this.state,
      step(-1, "up", "Previous match"), step(1, "down", "Next match"));
    session.context.signal.addEventListener("abort", () => CSS.highlights?.clear());
  }

  open() {
    this.input.focus();
    this.input.select();
  }

  close() {
    this.input.value = "";
    this.matches = [];
    this.say("");
    CSS.highlights?.clear();
    if (document.activeElement === this.input) this.session.window.focused()?.focus({ preventScroll: true });
  }

  key(event) {
    if (event.key === "Escape") this.close();
    if (event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      this.step(event.shiftKey ? -1 : 1);
    }
  }

  typed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look(), QUIET);
  }

  async look() {
    clearTimeout(this.timer);
    this.timer = null;
    const query = this.input.value;
    if (query === this.asked) return;
    this.asked = query;
    this.matches = [];
    this.at = -1;
    CSS.highlights?.clear();
    if (!query) return this.say("");
    this.say("…");
    try {
      const answer = await get(`${this.session.path}/find`, { q: query }, this.session.context.signal);
      if (query !== this.asked) return;
      this.matches = answer.matches;
      this.total = answer.total;
      this.say(this.total ? `${count(this.total)} found` : "Not found");
    } catch (error) {
      if (error.name !== "AbortError") this.say(error.message);
    }
  }

  async step(by) {
    await this.look();
    const { length } = this.matches;
    if (!length) return;
    const near = this.session.window.number();
    this.at = this.at < 0
      ? Math.max(0, by > 0 ? this.matches.findIndex(({ number }) => number >= near) : length - 1)
      : (this.at + by + length) % length;
    this.say(`${count(this.at + 1)} of ${count(this.total)}`);
    const match = this.matches[this.at];
    const node = await this.session.window.show(match.number);
    // Meanwhile another match may have been asked for, or none.
    if (node && match === this.matches[this.at]) this.mark(node);
  }

  /** Opens what hides the match, and marks it; whether there is one. */
  mark(node, text = this.asked) {
    const ranges = nearest(node, text);
    for (const range of ranges) {
      for (let fold = range.startContainer.parentElement.closest("details:not([open])"); fold; fold = fold.parentElement.closest("details:not([open])")) fold.open = true;
    }
    if (CSS.highlights) CSS.highlights.set("found", new Highlight(...ranges));
    const place = ranges[0]?.getBoundingClientRect();
    const line = this.session.window.line();
    if (place && (place.top < line || place.bottom > window.innerHeight)) window.scrollBy({ top: place.top - window.innerHeight / 3, behavior: "instant" });
    this.session.window.hold();
    return ranges.length > 0;
  }

  say(text) {
    this.state.textContent = text;
  }
}

/** Messages before the shown one among which the call of a result is looked for. */
const CALLS = 10;

/** Where `text` stands in the message, or in one before it: results come after several calls that were made at once. */
function nearest(node, text) {
  let ranges = rangesOf(node, text);
  let before = node.previousElementSibling;
  for (let n = 0; !ranges.length && before && n < CALLS; n += 1, before = before.previousElementSibling) ranges = rangesOf(before, text);
  return ranges;
}

/** Where `text` stands in the element, without regard to case; within one run of text each. */
function rangesOf(element, text) {
  const ranges = [];
  const wanted = text.toLowerCase();
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  while (walker.nextNode() && ranges.length < 500) {
    const run = walker.currentNode.data.toLowerCase();
    for (let at = run.indexOf(wanted); at >= 0 && run.length === walker.currentNode.data.length; at = run.indexOf(wanted, at + wanted.length)) {
      const range = new Range();
      range.setStart(walker.currentNode, at);
      range.setEnd(walker.currentNode, at + wanted.length);
      ranges.push(range);
    }
  }
  return ranges;
}
