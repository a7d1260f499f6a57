// Questions to the reader, in the browser's own dialog element: focus stays inside, Escape closes.

import { h, nextId } from "./dom.js";
import { attempt } from "./notice.js";

/** Opens a dialog with a form; `submit(data, dialog)` may throw, and then the dialog stays. */
export function ask({ title, body, action, danger = false, submit }) {
  const heading = nextId("dialog");
  const close = () => dialog.close();
  const send = async (event) => {
    event.preventDefault();
    ok.disabled = true;
    const went = await attempt(() => submit(new FormData(form), dialog));
    ok.disabled = false;
    if (went && !dialog.dataset.stay) close();
  };
  const ok = h("button", { class: danger ? "button danger" : "button primary", type: "submit" }, action);
  const cancel = h("button", { class: "button", type: "button", onclick: close }, "Cancel");
  const form = h("form", { onsubmit: send }, h("h2", { id: heading }, title), body, h("p", { class: "row end" }, cancel, ok));
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": heading, onclose: () => dialog.remove() }, form);
  return open(dialog);
}

/** Opens a dialog that only shows. */
export function show(title, ...body) {
  const heading = nextId("dialog");
  const close = h("button", { class: "button", type: "button", onclick: () => dialog.close() }, "Close");
  const dialog = h(
    "dialog",
    { class: "dialog", "aria-labelledby": heading, onclose: () => dialog.remove() },
    h("h2", { id: heading }, title),
    body,
    h("p", { class: "row end" }, close),
  );
  return open(dialog);
}

function open(dialog) {
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** A labelled control of a form. */
export function field(label, control, hint = null) {
  control.id ||= nextId("field");
  const note = hint && h("small", { id: `${control.id}-hint` }, hint);
  if (note) control.setAttribute("aria-describedby", note.id);
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control, note);
}

/** A button whose list of further actions folds out below it. */
export function menu(label, items, properties = {}) {
  const close = () => (node.open = false);
  const leave = (event) => node.contains(event.relatedTarget) || (event.relatedTarget && close());
  const node = h(
    "details",
    { class: "menu", ...properties, onfocusout: leave, onkeydown: (event) => event.key === "Escape" && (close(), node.firstChild.focus()) },
    h("summary", { class: "button" }, label),
    h("ul", { onclick: close }, items.map((item) => h("li", {}, item))),
  );
  return node;
}

document.addEventListener("click", (event) => {
  for (const node of document.querySelectorAll("details.menu[open]")) {
    if (!node.contains(event.target)) node.open = false;
  }
});
