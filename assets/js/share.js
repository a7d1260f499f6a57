// Who else sees a session: with an account, or by a link that expires; and taking it back.

import { get, post, remove } from "./api.js";
import { command, copyButton } from "./copy.js";
import { ask, field, show } from "./dialog.js";
import { foreign, h, hidden } from "./dom.js";
import { moment, relative } from "./format.js";
import { icon } from "./icons.js";

const WEEK = 7 * 86400;
const TIMES = [[86400, "a day"], [WEEK, "a week"], [30 * 86400, "30 days"], ["", "until it is revoked"]];

const address = (session) => `/api/v1/sessions/${encodeURIComponent(session.about.session.id)}`;

/** Asks with whom to share the conversation `session`. */
export function shareDialog(session) {
  const email = h("input", { name: "email", type: "email", autocomplete: "off", placeholder: "bob@example.com" });
  const kinds = [["account", "With a person, by email"], ["link", "With everybody who has a link, to read"], ["handoff", "Hand it over to a person, with a message"]];
  const choose = () => {
    const kind = form().get("kind");
    for (const node of dialog.querySelectorAll("[data-for]")) node.hidden = !node.dataset.for.split(" ").includes(kind);
    email.required = kind !== "link";
  };
  const form = () => new FormData(dialog.querySelector("form"));
  const body = h("div", { onchange: () => choose() },
    h("fieldset", {}, h("legend", {}, "How"), kinds.map(([value, label], n) => h("label", { class: "inline" }, h("input", { type: "radio", name: "kind", value, checked: n === 0 }), label))),
    h("div", { "data-for": "account handoff" }, field("Email", email, "It need not have an account yet; nobody learns whether it has.")),
    h("div", { "data-for": "account" }, h("label", { class: "inline" }, h("input", { type: "checkbox", name: "write" }), "may continue it")),
    h("div", { "data-for": "handoff" }, field("Message", h("textarea", { name: "message", rows: 3, maxlength: 2000 }))),
    h("div", { "data-for": "link" }, field("Good for", h("select", { name: "expires" }, TIMES.map(([value, label]) => h("option", { value, selected: value === WEEK }, label))), "Secrets are taken out of what a link shows.")));
  const dialog = ask({
    title: "Share this session",
    action: "Share",
    body,
    submit: async (data) => {
      await give(session, data);
      await session.renew();
    },
  });
  choose();
  return dialog;
}

async function give(session, data) {
  const kind = data.get("kind");
  if (kind === "link") {
    const expires = Number(data.get("expires")) || null;
    const link = await post(`${address(session)}/shares`, { link: true, expires_in: expires });
    const url = new URL(link.path, location.href).href;
    show("The link", h("p", {}, "It is shown this once: only its hash is kept."),
      h("div", { class: "command" }, h("code", {}, url), copyButton(() => url, "Copy the link", "Link copied")),
      h("p", { class: "dim" }, link.expires_at ? `Good until ${moment(link.expires_at)}.` : "Good until it is revoked."));
    return;
  }
  const to = data.get("email").trim();
  const given = kind === "handoff"
    ? await post(`${address(session)}/handoffs`, { to, message: data.get("message").trim() })
    : await post(`${address(session)}/shares`, { with: to, write: data.get("write") === "on" });
  show("Shared", h("p", {}, "It is in the inbox of ", foreign(to), ". Whoever signs up later claims it with this:"),
    given.claim_code ? command(`sfs inbox claim ${given.claim_code}`) : "");
}

/** The shares of `session`, drawn into `place`. */
export async function shareList(session, place) {
  const answer = await get(`${address(session)}/shares`, {}, session.context.signal).catch(() => ({ shares: [] }));
  const items = answer.shares.map((share) => h("li", {}, shareLine(share), revokeButton(share, () => session.renew())));
  place.replaceChildren(items.length ? h("section", { class: "part" }, h("h2", {}, "Shared"), h("ul", { class: "plain" }, items)) : "");
}

/** What a share is, in a line. */
export function shareLine(share) {
  const state = share.state === "active" ? null : h("span", { class: `mark ${share.state === "expired" ? "bad" : ""}` }, share.state);
  const opened = share.last_opened_at ? ` · opened ${relative(share.last_opened_at)}` : "";
  const end = share.expires_at ? ` · until ${moment(share.expires_at)}` : "";
  return [icon(share.kind === "link" ? "link" : "share"), " ", share.kind === "link" ? "Link" : foreign(share.with), share.write ? " (may continue it)" : "", " ", state,
    h("span", { class: "dim" }, `${end}${opened}`)];
}

/** Takes `share` back. */
export function revokeButton(share, done) {
  const what = share.kind === "link" ? "link" : share.with;
  const press = () => ask({
    title: "Revoke this share?",
    action: "Revoke",
    danger: true,
    body: h("p", {}, share.kind === "link" ? "The link stops working at once." : "They lose sight of it at once. What they copied stays theirs."),
    submit: async () => {
      await remove(`/api/v1/shares/${encodeURIComponent(share.share_id)}`);
      await done();
    },
  });
  return h("button", { type: "button", class: "button small", onclick: press }, "Revoke", hidden(` ${what}`));
}
