// Signing in: with an API key, or by the one-time link that `sfs auth web` prints.

import { get, post } from "./api.js";
import { field } from "./dialog.js";
import { foreign, h } from "./dom.js";
import { go } from "./router.js";
import { isRemembered } from "./signed-in.js";

export default async function view({ main, query, reason, renew, again, signal }) {
  const said = h("p", { class: "error", role: "alert" });
  const token = location.hash.slice(1);
  // The token stays neither in the address nor in the history.
  if (token) history.replaceState({}, "", `/sign-in${location.search}`);
  window.addEventListener("hashchange", again, { signal });
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
  const draw = (isLocal) => {
    main.className = "narrow";
    main.replaceChildren(h("h1", {}, "Sign in"), isLocal ? said : form,
      h("p", { class: "dim" }, isLocal ? "Type " : "On a machine that is logged in, ", h("code", {}, isLocal ? "sfs web" : "sfs auth web"), isLocal ? " again: it prints a link that opens this page." : " prints a link that opens this page signed in."));
    if (!isLocal) key.focus();
  };
  const spend = async () => {
    try {
      await enter({ token });
    } catch (error) {
      draw(error.code === "local");
      said.textContent = error.status === 401 ? "This link was used already, or it is too old. Ask for a new one." : error.message;
    }
  };

  if (token) {
    const who = isRemembered() ? await get("/api/web/me", {}, signal).catch(() => null) : null;
    // A link that somebody else sent must not make this browser his without a word.
    if (who && !who.is_local) main.replaceChildren(...question(who.email, spend, () => go(next, { replace: true })));
    else await spend();
  } else {
    const why = reason ?? (await get("/api/web/me", {}, signal).then(() => null, (error) => error));
    draw(why?.code === "local");
  }
  return "Sign in";
}

const question = (email, leave, stay) => [
  h("h1", {}, "Sign in as somebody else?"),
  h("p", {}, "You are signed in as ", foreign(email), ". This link signs this browser in as whoever made it: use it only if you made it."),
  h("p", { class: "row" }, h("button", { type: "button", class: "button primary", onclick: stay }, "Stay signed in"), h("button", { type: "button", class: "button", onclick: leave }, "Use the link")),
];
