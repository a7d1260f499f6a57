// What is said in passing, and what is said in place of a view: empty lists, errors, waiting.

import { h } from "./dom.js";

/** What an address of a message says that leads to none. */
export const NOT_HERE = "This message is not here (any more).";

/** A sentence that goes away by itself. */
export function toast(text, kind = "") {
  const note = h("p", { class: `toast ${kind}` }, text);
  document.getElementById("toasts").append(note);
  setTimeout(() => note.remove(), kind === "bad" ? 8000 : 4000);
}

/** Runs `work`; says what went wrong. Whether it went well. */
export async function attempt(work, success = null) {
  try {
    await work();
    if (success) toast(success);
    return true;
  } catch (error) {
    if (error.name !== "AbortError") toast(error.message, "bad");
    return false;
  }
}

/** Nothing is here: why, and what to do. */
export const empty = (heading, ...rest) => h("div", { class: "empty" }, h("h2", {}, heading), ...rest);

/** The view could not be drawn. */
export function failed(error, again) {
  const retry = h("button", { type: "button", class: "button", onclick: again }, "Try again");
  const isLost = error.status === 404;
  // The same question gets the same answer.
  const isWrong = error.status === 400 || error.status === 422;
  return h(
    "div",
    { class: "empty", role: "alert" },
    h("h2", {}, isLost ? "Not found" : isWrong ? "This address can't be understood" : "That did not work"),
    h("p", {}, error.message),
    isLost || isWrong ? h("p", {}, "Look at the address, or begin with all sessions.") : null,
    h("p", { class: "row" }, isLost || isWrong ? null : retry, h("a", { class: "button", href: "/sessions" }, "All sessions")),
  );
}

/** Grey bars in place of `lines` lines that are on their way. */
export const waiting = (lines) =>
  h("div", { class: "waiting", "aria-hidden": "true" }, Array.from({ length: lines }, () => h("div", { class: "bone" })));
