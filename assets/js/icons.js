// Small line drawings on a grid of 16. Decoration: the name is in the text beside them.

import { s } from "./dom.js";

const PATHS = {
  back: "M10 3 5 8l5 5",
  branch: "M5 4.5v7M5 11.5a1.5 1.5 0 1 0 0 .1M5 4.4a1.5 1.5 0 1 0 0-.1M11 5.9a1.5 1.5 0 1 0 0-.1M11 6c0 3-6 2-6 5",
  chart: "M2.5 13.5h11M4.5 11V7.5M8 11V3.5M11.5 11V6",
  check: "m3 8.5 3.2 3.2L13 5",
  close: "m4 4 8 8M12 4l-8 8",
  copy: "M5.5 5.5h7v8h-7zM3.5 10.5v-8h7",
  down: "M8 3v10M4 9l4 4 4-4",
  download: "M8 2.5v7.5M4.8 7 8 10.2 11.2 7M3 13.5h10",
  flag: "M4 14V2.5h7.5L10 5.5l1.5 3H4",
  inbox: "M2.5 9.5 4.5 3h7l2 6.5v3.5h-11zM2.5 9.5h3l1 2h3l1-2h3",
  key: "M6.5 9.5a3 3 0 1 1 1-1l5.5 5.5M10.5 11.5l1.5-1.5",
  link: "M6.5 9.5 9.5 6.5M7 4.8l1.5-1.5a2.6 2.6 0 0 1 3.8 3.8L10.8 8.6M9 11.2l-1.5 1.5a2.6 2.6 0 0 1-3.8-3.8L5.2 7.4",
  list: "M2.5 4h11M2.5 8h11M2.5 12h11",
  more: "M3.5 8h.1M8 8h.1M12.5 8h.1",
  pencil: "M3 13l.6-2.8L10.8 3 13 5.2 5.8 12.4z",
  person: "M8 8a2.7 2.7 0 1 0-.1 0M3 13.5c.5-2.5 2.4-3.7 5-3.7s4.5 1.2 5 3.7",
  search: "M7 11.5a4.5 4.5 0 1 1 .1 0M10.5 10.5 14 14",
  share: "M5.5 8 10.5 5M5.5 8l5 3M4 9.6a1.6 1.6 0 1 1 .1 0M12 5.6a1.6 1.6 0 1 1 .1 0M12 13.6a1.6 1.6 0 1 1 .1 0",
  shield: "M8 2 3 4v4c0 3 2.2 5 5 6 2.8-1 5-3 5-6V4z",
  tag: "M2.5 2.5h5.3l5.7 5.7-5.3 5.3-5.7-5.7zM5.3 5.3h.1",
  terminal: "M2.5 3h11v10h-11zM5 6l2 2-2 2M8.5 10.5h2.5",
  trash: "M3 4.5h10M6 4.5v-2h4v2M4.5 4.5l.6 9h5.8l.6-9",
  up: "M8 13V3M4 7l4-4 4 4",
};

/** The drawing called `name`. */
export function icon(name) {
  return s("svg", { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true" }, s("path", { d: PATHS[name] }));
}
