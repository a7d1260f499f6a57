// The account: its API keys, and how much it stores.

import { get, patch, post, remove } from "./api.js";
import { command } from "./copy.js";
import { ask, field, show } from "./dialog.js";
import { foreign, h, hidden } from "./dom.js";
import { bytes, many, moment, relative } from "./format.js";
import { empty } from "./notice.js";

export default async function view({ main, me, signal, again }) {
  const keys = await get("/api/v1/auth/keys", {}, signal);
  main.replaceChildren(
    h("div", { class: "page-head" }, h("h1", {}, "Keys and storage"), h("button", { type: "button", class: "button primary", onclick: () => create(again) }, "New key")),
    storage(me),
    h("h2", {}, "API keys"),
    h("p", { class: "dim" }, "One for each machine. A key that is revoked is signed out everywhere at once."),
    keys.length ? table(keys, again) : empty("No keys", h("p", {}, "A machine signs in with one: ", h("code", {}, "sfs auth login"))));
  return "Keys and storage";
}

function storage({ storage: { bytes: used, quota }, sessions, email }) {
  const meter = quota ? h("meter", { min: 0, max: quota, high: quota * 0.9, value: used, "aria-label": `${bytes(used)} of ${bytes(quota)} used` }) : null;
  return h("section", { class: "card" }, h("h2", {}, "Storage"),
    h("p", {}, quota ? `${bytes(used)} of ${bytes(quota)} used` : `${bytes(used)} used, no limit`, `: ${many(sessions, "session")} of `, foreign(email)), meter);
}

function table(keys, again) {
  const rows = keys.map((key) => h("tr", {},
    h("th", { scope: "row" }, key.name ? foreign(key.name) : h("span", { class: "dim" }, "no name")),
    h("td", {}, h("code", {}, key.key_id)),
    h("td", {}, h("time", { datetime: key.created_at, title: moment(key.created_at) }, relative(key.created_at))),
    h("td", {}, key.last_used_at ? h("time", { datetime: key.last_used_at, title: moment(key.last_used_at) }, relative(key.last_used_at)) : "never"),
    h("td", { class: "row end" },
      h("button", { type: "button", class: "button small", onclick: () => rename(key, again) }, "Rename", hidden(` ${key.name ?? key.key_id}`)),
      h("button", { type: "button", class: "button small danger", onclick: () => revoke(key, again) }, "Revoke", hidden(` ${key.name ?? key.key_id}`)))));
  const head = ["Name", "Id", "Created", "Last used"].map((name) => h("th", { scope: "col" }, name));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "API keys" },
    h("table", { class: "wide-table" }, h("thead", {}, h("tr", {}, head, h("td", {}))), h("tbody", {}, rows)));
}

function create(again) {
  ask({
    title: "New API key",
    action: "Create",
    body: field("Name", h("input", { name: "name", required: true, maxlength: 100, autocomplete: "off", placeholder: "laptop" }), "So that you know which one to revoke."),
    submit: async (data) => {
      const key = await post("/api/v1/auth/keys", { name: data.get("name").trim() });
      await again();
      show("Your new key", h("p", {}, "It is shown this once: only its hash is kept."), command(key.raw_key));
    },
  });
}

function rename(key, again) {
  ask({
    title: "Rename this key",
    action: "Rename",
    body: field("Name", h("input", { name: "name", value: key.name ?? "", required: true, maxlength: 100, autocomplete: "off" }), "The machine that uses it goes on as before."),
    submit: async (data) => {
      await patch(`/api/v1/auth/keys/${encodeURIComponent(key.key_id)}`, { name: data.get("name").trim() });
      await again();
    },
  });
}

function revoke(key, again) {
  ask({
    title: "Revoke this key?",
    action: "Revoke",
    danger: true,
    body: h("p", {}, "The machine that uses it is signed out at once. What it has stays there."),
    submit: async () => {
      await remove(`/api/v1/auth/keys/${encodeURIComponent(key.key_id)}`);
      await again();
    },
  });
}
