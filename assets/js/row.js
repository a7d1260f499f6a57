// One session in a list.

import { foreign, h, hidden, printable } from "./dom.js";
import { cost, count, moment, place, relative, short } from "./format.js";
import { setRendered } from "./html.js";
import { icon } from "./icons.js";

/** What a session is called where it has no title. */
export const titleOf = (session) => printable(session.title || "").trim() || "Untitled session";

/** The tool as a coloured word. */
export const toolMark = (tool) => h("span", { class: "tool-mark", "data-tool": tool }, tool);

/** A mark with a drawing and a word. */
const mark = (drawing, text, kind = "") => h("span", { class: `mark ${kind}` }, icon(drawing), text);

/** Where the session comes from and who else sees it. */
export function marks(session) {
  return [
    session.relation === "fork" ? mark("branch", "fork") : null,
    session.relation === "resume" ? mark("branch", "resumed") : null,
    session.shared > 0 ? mark("share", session.shared === 1 ? "shared" : `shared ×${session.shared}`) : null,
    session.native_present === false ? mark("shield", "only here", "safe") : null,
    session.deleted_at ? mark("trash", "deleted", "bad") : null,
  ];
}

export const tagMarks = (session) => session.tags.map((tag) => h("a", { class: "tag", href: `/sessions?tag=${encodeURIComponent(tag)}` }, foreign(tag)));

/** The line of a session; `day` stands above the first one of a day. */
export function row(session, isChosen, day = null) {
  const title = titleOf(session);
  const address = `/sessions/${session.id}`;
  const found = session.snippet && setRendered(h("span"), session.snippet.html);
  // What was found may be folded away there.
  const word = found?.querySelector("mark")?.textContent;
  const hit = found && `${address}${word ? `?find=${encodeURIComponent(word)}` : ""}#m-${encodeURIComponent(session.snippet.message_id)}`;
  const figure = (text, unit, kind) => h("span", { class: `figure ${kind}` }, text, h("span", { class: "unit" }, ` ${unit}`));
  const tokens = (session.input_tokens ?? 0) + (session.output_tokens ?? 0);
  return h("li", { class: isChosen ? "session chosen" : "session", "data-id": session.id, "data-day": day },
    h("label", { class: "check" }, h("input", { type: "checkbox", checked: isChosen, "aria-label": `Select: ${title}` })),
    h("div", { class: "about" },
      h("p", { class: "line" }, h("a", { class: "title", href: address }, h("bdi", {}, title)), marks(session)),
      h("p", { class: "line dim" }, toolMark(session.tool), session.project ? foreign(place(session.project), { class: "place", title: printable(session.project) }) : null,
        session.model ? foreign(session.model, { class: "model" }) : null, tagMarks(session)),
      found ? h("p", { class: "snippet" }, h("a", { href: hit }, hidden("Found: "), found)) : null),
    h("div", { class: "figures" },
      figure(count(session.message_count), session.message_count === 1 ? "message" : "messages", "messages"),
      figure(short(tokens), "tokens", "tokens"),
      h("span", { class: "figure cost" }, cost(session.cost_usd)),
      h("time", { class: "figure when", datetime: session.updated_at, title: moment(session.updated_at) }, relative(session.updated_at))));
}
