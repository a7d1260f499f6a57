// Text to the clipboard, with a word that it is there.

import { h } from "./dom.js";
import { icon } from "./icons.js";
import { toast } from "./notice.js";

/** Copies `text`. Pages without TLS have no clipboard API: there the old way. */
export async function copy(text, what = "Copied") {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { value: text, class: "sr", readonly: true });
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) return toast("The browser does not let this page copy", "bad");
  }
  return toast(what);
}

/** A button that copies what `text()` gives. */
export function copyButton(text, label = "Copy", what = undefined) {
  const press = (event) => {
    event.preventDefault();
    copy(text(), what);
  };
  return h("button", { type: "button", class: "ghost copy", title: label, "aria-label": label, onclick: press }, icon("copy"));
}

/** A command to type elsewhere, with its button. */
export function command(text) {
  return h("div", { class: "command" }, h("code", {}, text), copyButton(() => text, `Copy: ${text}`, "Command copied"));
}
