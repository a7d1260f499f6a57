// Everything that this account shares.

import { get } from "./api.js";
import { h } from "./dom.js";
import { empty } from "./notice.js";
import { titleOf } from "./row.js";
import { revokeButton, shareLine } from "./share.js";

export default async function view({ main, signal, again }) {
  const { shares } = await get("/api/v1/shares", {}, signal);
  const rows = shares.map((share) => h("li", {},
    h("div", {}, h("p", {}, h("a", { class: "title", href: `/sessions/${share.session_id}` }, h("bdi", {}, titleOf(share)))), h("p", { class: "dim" }, shareLine(share))),
    revokeButton(share, again)));
  const none = empty("Nothing is shared", h("p", {}, "Open a session and press Share, or type ", h("code", {}, "sfs share ID --with bob@example.com"), "."));
  main.replaceChildren(h("h1", {}, "Shares"), rows.length ? h("ul", { class: "cards" }, rows) : none);
  return "Shares";
}
