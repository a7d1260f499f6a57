// Keys without a modifier, for readers who leave the mouse alone. A view adds its own; they go when it goes.

import { h } from "./dom.js";
import { show } from "./dialog.js";
import { go } from "./router.js";

let keys = new Map();
let waitsForSecond = false;

const EVERYWHERE = new Map([
  ["?", ["Show the keys", help]],
  ["g l", ["Go to the sessions", () => go("/sessions")]],
  ["g o", ["Go to the overview", () => go("/overview")]],
  ["g i", ["Go to the inbox", () => go("/inbox"), "inbox"]],
  ["g s", ["Go to what you share", () => go("/shares"), "shares"]],
  ["g k", ["Go to keys and storage", () => go("/keys"), "keys"]],
]);
let features = [];

/** The keys of pages that this server does not have do nothing. */
export function allow(these) {
  features = these;
}

const everywhere = () => new Map([...EVERYWHERE].filter(([, [, , feature]]) => !feature || features.includes(feature)));

/** The keys of a view: `{j: ["Next message", f]}`. */
export function bind(bindings, signal) {
  keys = new Map(Object.entries(bindings));
  const mine = keys;
  signal.addEventListener("abort", () => mine === keys && (keys = new Map()));
}

/** Listens, once. */
export function listen() {
  document.addEventListener("keydown", (event) => {
    if (event.metaKey || event.ctrlKey || event.altKey || event.isComposing) return;
    const isTyping = event.target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]");
    if (isTyping || document.querySelector("dialog[open]")) return;
    const name = waitsForSecond ? `g ${event.key}` : event.key;
    waitsForSecond = !waitsForSecond && event.key === "g";
    if (waitsForSecond) return setTimeout(() => (waitsForSecond = false), 1500);
    const found = keys.get(name) ?? everywhere().get(name);
    if (!found) return;
    event.preventDefault();
    found[1](event);
  });
}

function help() {
  const rows = [...keys, ...everywhere()].map(([key, [what]]) =>
    h("tr", {}, h("th", { scope: "row" }, key.split(" ").map((part) => h("kbd", {}, part))), h("td", {}, what)));
  show("Keys", h("table", { class: "keys" }, h("tbody", {}, rows)));
}

/** Shows them, for the button in the bar. */
export { help };
