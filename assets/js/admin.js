// For administrators: accounts, invitations, and who did what.

import { get, patch, post, remove } from "./api.js";
import { command } from "./copy.js";
import { ask, field, show } from "./dialog.js";
import { foreign, h, hidden, printable } from "./dom.js";
import { bytes, count, moment, relative } from "./format.js";
import { attempt, empty } from "./notice.js";

const EVENTS = 50;

export default async function view(context) {
  const { main, signal, again } = context;
  const invites = get("/api/v1/admin/invites", {}, signal).catch(() => ({ invites: [] }));
  const { users } = await get("/api/v1/admin/users", {}, signal);
  main.replaceChildren(
    h("div", { class: "page-head" }, h("h1", {}, "Administration"), h("button", { type: "button", class: "button primary", onclick: () => invite(again) }, "Invite")),
    h("section", {}, h("h2", {}, `Users (${count(users.length)})`), userTable(users, context)),
    h("section", {}, h("h2", {}, "Invitations"), inviteTable((await invites).invites, again)),
    await audit(signal));
  return "Administration";
}

function table(label, names, rows) {
  const head = names.map((name) => h("th", { scope: "col" }, name));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    h("table", { class: "wide-table" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)));
}

const when = (time) => h("time", { datetime: time, title: moment(time) }, relative(time));

function userTable(users, { me, again }) {
  const rows = users.map((user) => {
    const set = (values) => attempt(async () => {
      await patch(`/api/v1/admin/users/${encodeURIComponent(user.user_id)}`, values);
      await again();
    });
    const button = (label, values, kind = "") => h("button", { type: "button", class: `button small ${kind}`, onclick: () => set(values) }, label, hidden(` ${user.email}`));
    const actions = user.email === me.email ? h("span", { class: "dim" }, "you") : [
      user.is_admin ? button("Make a user", { is_admin: false }) : button("Make an admin", { is_admin: true }),
      user.disabled_at ? button("Enable", { disabled: false }) : button("Disable", { disabled: true }, "danger"),
    ];
    return h("tr", {}, h("th", { scope: "row" }, foreign(user.email)),
      h("td", {}, user.is_admin ? "admin" : "user", user.disabled_at ? h("span", { class: "mark bad" }, "disabled") : null),
      h("td", {}, stored(user)),
      h("td", {}, count(user.keys)), h("td", {}, when(user.created_at)),
      h("td", { class: "row end" }, actions));
  });
  return table("Users", ["Email", "Role", "Storage", "Keys", "Since", "Actions"], rows);
}

/** What the account's archive takes, of what it may. */
function stored({ storage_bytes: used, quota }) {
  if (used === null || used === undefined) return "unknown";
  return quota ? `${bytes(used)} of ${bytes(quota)}` : bytes(used);
}

function inviteTable(invites, again) {
  if (!invites.length) return empty("No open invitations", h("p", {}, "An invitation is a code with which one account can be made."));
  const take = (item) => attempt(async () => {
    await remove(`/api/v1/admin/invites/${encodeURIComponent(item.invite_id)}`);
    await again();
  }, "Invitation withdrawn");
  const rows = invites.map((item) => h("tr", {}, h("th", { scope: "row" }, item.email ? foreign(item.email) : "anybody"), h("td", {}, when(item.created_at)),
    h("td", {}, moment(item.expires_at)), h("td", {}, item.used_by ? ["used by ", foreign(item.used_by)] : "open"),
    h("td", { class: "row end" }, item.used_by ? null : h("button", { type: "button", class: "button small danger", onclick: () => take(item) }, "Withdraw", hidden(` the invitation of ${item.email ?? "anybody"}`)))));
  return table("Invitations", ["For", "Made", "Good until", "State", "Actions"], rows);
}

function invite(again) {
  ask({
    title: "Invite somebody",
    action: "Invite",
    body: h("div", {},
      field("Email", h("input", { name: "email", type: "email", autocomplete: "off" }), "Empty: whoever has the code."),
      field("Days it is good for", h("input", { name: "days", type: "number", min: 1, max: 365, value: 7, required: true }))),
    submit: async (data) => {
      const email = data.get("email").trim();
      const made = await post("/api/v1/admin/invites", { email: email || null, days: Number(data.get("days")) });
      await again();
      show("The invitation", h("p", {}, "It is shown this once. On the other machine:"),
        command(`sfs auth signup --url ${location.origin} --email ${email || "EMAIL"} --invite ${made.invite}`));
    },
  });
}

async function audit(signal) {
  const body = h("tbody");
  const more = h("button", { type: "button", class: "button", onclick: () => attempt(load) }, "Earlier events");
  const event = h("input", { name: "event", placeholder: "any", autocomplete: "off" });
  const account = h("input", { name: "account", placeholder: "any", autocomplete: "off" });
  let before = null;
  const load = async () => {
    const { events } = await get("/api/v1/admin/audit", { event: event.value.trim(), account: account.value.trim(), before, limit: EVENTS }, signal);
    body.append(...events.map(line));
    before = events.at(-1)?.id ?? null;
    more.hidden = events.length < EVENTS || before === null;
  };
  const filter = (submitted) => {
    submitted.preventDefault();
    before = null;
    body.replaceChildren();
    attempt(load);
  };
  await load();
  const head = ["Time", "Event", "Account", "Detail", "From"].map((name) => h("th", { scope: "col" }, name));
  return h("section", {}, h("h2", {}, "Audit"),
    h("form", { class: "row bottom", onsubmit: filter }, field("Event", event), field("Account", account), h("button", { class: "button", type: "submit" }, "Filter")),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Audit" }, h("table", { class: "wide-table" }, h("thead", {}, h("tr", {}, head)), body)),
    h("p", {}, more));
}

function line(event) {
  const detail = [event.session, event.detail].filter(Boolean).map(printable).join(" ");
  return h("tr", {}, h("td", {}, h("time", { datetime: event.at, title: event.at }, moment(event.at))), h("th", { scope: "row" }, printable(event.event)),
    h("td", {}, foreign(event.account ?? "")), h("td", {}, detail), h("td", {}, h("code", {}, printable(event.address ?? ""))));
}
