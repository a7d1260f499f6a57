// Elements out of plain values. Text is always text; the one place that takes HTML is html.js.

const SVG = "http://www.w3.org/2000/svg";

/** `h("a", {class: "x", href: "/y", onclick: f}, "text", node)`: an element. `null` and `false` children are left out. */
export function h(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** The same in SVG. */
export function s(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in VALUES) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** What is the element's state and not an attribute of it. */
const VALUES = { value: 1, checked: 1, indeterminate: 1, open: 1 };

/** Text for eyes that can't see the icon beside it. */
export const hidden = (text) => h("span", { class: "sr" }, text);

/** What a person typed or a model wrote, kept from turning the line around it. */
export const foreign = (text, properties) => h("bdi", properties, printable(text));

/** Control and direction characters as their code points. */
export function printable(text) {
  return String(text ?? "").replace(UNSEEN, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
}

const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** The id of an element that belongs to a label. */
let count = 0;
export const nextId = (stem) => `${stem}-${(count += 1)}`;
