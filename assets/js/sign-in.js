// Signing in: with an API key, or by the one-time link that `sfs auth web` prints.

import { post } from "./api.js";
import { field } from "./dialog.js";
import { h } from "./dom.js";
import { go } from "./router.js";

export default async function view({ main, query, reason, renew }) {
  const said = h("p", { class: "error", role: "alert" });
  const token = location.hash.slice(1);
  const next = /^\/(?![/\\])/.test(query.get("next") ?? "") ? query.get("next") : "/sessions";

  const enter = async (credential) => {
    await post("/api/web/sign-in", credential);
    renew();
    await go(next, { replace: true });
  };
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    said.textContent = "";
    try {
      await enter({ key: key.value.trim() });
    } catch (error) {
      said.textContent = error.status === 401 ? "This key is not valid here. It may have been revoked, or belong to another server." : error.message;
      key.focus();
    }
    button.disabled = false;
  };

  const key = h("input", { type: "password", name: "key", autocomplete: "current-password", required: true, placeholder: "sk_sfs_…", spellcheck: "false" });
  const button = h("button", { class: "button primary", type: "submit" }, "Sign in");
  const form = h("form", { class: "card", onsubmit: submit },
    h("input", { type: "text", name: "username", autocomplete: "username", value: "sessionfs", hidden: true }),
    field("API key", key, "The one that signing up printed, or a new one: sfs auth keys create"), said, button);
  // The archive of this machine knows no keys.
  const isLocal = reason?.code === "local";
  main.className = "narrow";
  main.replaceChildren(h("h1", {}, "Sign in"), isLocal ? said : form,
    h("p", { class: "dim" }, isLocal ? "Type " : "On a machine that is logged in, ", h("code", {}, isLocal ? "sfs web" : "sfs auth web"), isLocal ? " again: it prints a link that opens this page." : " prints a link that opens this page signed in."));

  if (token) {
    // The token is spent at once, and stays neither in the address nor in the history.
    history.replaceState({}, "", "/sign-in");
    try {
      await enter({ token });
    } catch (error) {
      said.textContent = error.status === 401 ? "This link was used already, or it is too old. Ask for a new one." : error.message;
    }
  }
  if (location.pathname === "/sign-in") key.focus();
  return "Sign in";
}
