// What others shared with this account or handed over to it.

import { get, post, remove } from "./api.js";
import { command } from "./copy.js";
import { ask, field } from "./dialog.js";
import { foreign, h, hidden } from "./dom.js";
import { moment, relative } from "./format.js";
import { attempt, empty } from "./notice.js";
import { titleOf, toolMark } from "./row.js";

export default async function view({ main, signal, again }) {
  const { items } = await get("/api/v1/inbox", {}, signal);
  const claim = () => ask({
    title: "Claim a session",
    action: "Claim",
    body: field("Code", h("input", { name: "code", required: true, autocomplete: "off", spellcheck: "false" }), "From the person who shared it."),
    submit: async (data) => {
      await post("/api/v1/inbox/claim", { code: data.get("code").trim() });
      await again();
    },
  });
  const none = empty("The inbox is empty", h("p", {}, "What others share with you or hand over to you appears here."));
  main.replaceChildren(
    h("div", { class: "page-head" }, h("h1", {}, "Inbox"), h("button", { type: "button", class: "button", onclick: claim }, "Claim with a code")),
    items.length ? h("ul", { class: "cards" }, items.map((item) => card(item, again))) : none);
  return "Inbox";
}

function card(item, again) {
  const path = `/api/v1/inbox/${encodeURIComponent(item.item_id)}`;
  const title = h("bdi", {}, titleOf(item));
  const accept = () => attempt(async () => {
    await post(`${path}/accept`);
    await again();
  }, "Accepted");
  const drop = () => ask({
    title: item.accepted_at ? "Remove it from the inbox?" : "Decline it?",
    action: item.accepted_at ? "Remove" : "Decline",
    danger: true,
    body: h("p", {}, "The session itself stays with whoever shared it."),
    submit: async () => {
      await remove(path);
      await again();
    },
  });
  const what = item.kind === "handoff" ? "handed over by" : "shared by";
  return h("li", {},
    h("div", {},
      h("p", {}, h("span", { class: "title" }, title)),
      h("p", { class: "dim" }, item.tool ? toolMark(item.tool) : null, ` ${what} `, foreign(item.from), item.write ? " · you may continue it · " : " · ", h("time", { datetime: item.created_at, title: moment(item.created_at) }, relative(item.created_at))),
      item.message ? h("blockquote", {}, foreign(item.message)) : null,
      item.git_remote ? h("p", { class: "dim" }, "Repository: ", h("code", {}, foreign(item.git_remote))) : null,
      item.accepted_at ? [h("p", { class: "dim" }, "Accepted. To continue it on your machine, in your clone of the project:"), command(`sfs inbox accept ${item.session_id} --project .`)] : null),
    h("p", { class: "row" },
      item.accepted_at ? null : h("button", { type: "button", class: "button primary", onclick: accept }, "Accept", hidden(` ${titleOf(item)}`)),
      h("button", { type: "button", class: "button", onclick: drop }, item.accepted_at ? "Remove" : "Decline", hidden(` ${titleOf(item)}`))));
}
