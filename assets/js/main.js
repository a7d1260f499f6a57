// The frame around every view: who is signed in, where one can go, and what happens when a view fails.

import { ApiError, get, post } from "./api.js";
import { menu } from "./dialog.js";
import { h } from "./dom.js";
import { bytes } from "./format.js";
import { icon } from "./icons.js";
import { allow, help, listen } from "./keyboard.js";
import { attempt, empty, failed } from "./notice.js";
import { go, route, start } from "./router.js";
import { forget, remember } from "./signed-in.js";

const main = document.getElementById("main");
const bar = document.getElementById("bar");
let me = null;
/** Why nobody is signed in, in the server's words. */
let reason = null;

route("/sign-in", () => import("./sign-in.js"));
route("/", () => import("./sessions.js"));
route("/sessions", () => import("./sessions.js"));
route("/sessions/:id", () => import("./conversation.js"));
route("/overview", () => import("./overview.js"));
route("/keys", () => import("./keys.js"));
route("/inbox", () => import("./inbox.js"));
route("/shares", () => import("./shares.js"));
route("/admin", () => import("./admin.js"));
route("/404", async () => ({ default: lost }));

const PLACES = [
  { href: "/sessions", label: "Sessions", drawing: "list" },
  { href: "/overview", label: "Overview", drawing: "chart" },
  { href: "/inbox", label: "Inbox", drawing: "inbox", feature: "inbox" },
  { href: "/shares", label: "Shares", drawing: "share", feature: "shares" },
  { href: "/keys", label: "Keys", drawing: "key", feature: "keys" },
  { href: "/admin", label: "Admin", drawing: "shield", feature: "admin" },
];

listen();
window.addEventListener("signed-out", ({ detail }) => {
  me = null;
  reason = detail;
  forget();
  if (location.pathname !== "/sign-in") go(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
});
await start(draw);

async function draw(context, load) {
  main.setAttribute("aria-busy", "true");
  try {
    const module = load().catch(unloaded);
    module.catch(() => {});
    if (context.path !== "/sign-in") me ??= await whoIsIt();
    if (context.signal.aborted) return;
    const view = (await module).default;
    drawBar(context.path);
    main.className = "";
    const title = await view({ ...context, me, reason, main, again: () => draw(context, load), renew: () => (me = null) });
    if (context.signal.aborted) return;
    document.title = title ? `${title} · sessionfs` : "sessionfs";
  } catch (error) {
    if (error.name === "AbortError" || context.signal.aborted || error.status === 401) return;
    drawBar(context.path);
    main.replaceChildren(failed(error, () => draw(context, load)));
    document.title = "Error · sessionfs";
    if (error.status === 0) reachable(context.signal).then((is) => is && draw(context, load));
    if (error.status === undefined) throw error;
  } finally {
    if (!context.signal.aborted) main.removeAttribute("aria-busy");
  }
}

/** Waits until somebody answers; false where the reader went elsewhere meanwhile. */
async function reachable(signal) {
  while (!signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, 2000));
    if (await fetch("/health").then(() => true, () => false)) break;
  }
  return !signal.aborted;
}

async function whoIsIt() {
  const who = await get("/api/web/me");
  remember();
  return who;
}

/** The part of the dashboard that a view is made of did not come. */
function unloaded(error) {
  if (!(error instanceof TypeError && /import/i.test(error.message))) throw error;
  throw new ApiError(0, "unreachable", "This page can't be loaded: the server can't be reached. Is it running?");
}

function drawBar(path) {
  allow(me?.features ?? []);
  const isSignIn = path === "/sign-in";
  const places = isSignIn || !me ? [] : PLACES.filter((place) => !place.feature || me.features.includes(place.feature));
  const links = places.map(({ href, label, drawing }) => {
    const isHere = path === href || (href === "/sessions" && (path === "/" || path.startsWith("/sessions/")));
    return h("li", {}, h("a", { href, "aria-current": isHere ? "page" : null }, icon(drawing), h("span", {}, label)));
  });
  bar.replaceChildren(
    h("a", { class: "brand", href: "/sessions", "aria-label": "sessionfs: all sessions" }, h("span", { class: "logo" }), h("span", { class: "word" }, "sessionfs")),
    links.length ? h("nav", { "aria-label": "Main" }, h("ul", {}, links)) : "",
    h("div", { class: "spacer" }),
    h("button", { type: "button", class: "ghost keys-button", title: "Keys (?)", "aria-label": "Show the keys", onclick: help }, h("kbd", {}, "?")),
    isSignIn || !me ? "" : account(),
  );
}

function account() {
  if (me.is_local) return h("span", { class: "who" }, "this machine");
  const { bytes: used, quota } = me.storage;
  const leave = () => attempt(async () => {
    await post("/api/web/sign-out");
    me = null;
    reason = { code: "left" };
    forget();
    go("/sign-in");
  });
  return menu([icon("person"), h("span", { class: "who" }, me.email)], [
    h("p", {}, h("strong", {}, me.email)),
    h("p", { class: "dim" }, quota ? `${bytes(used)} of ${bytes(quota)} used` : `${bytes(used)} used`),
    h("a", { href: "/keys" }, "Keys and storage"),
    h("button", { type: "button", onclick: leave }, "Sign out"),
  ], { class: "menu right" });
}

async function lost({ main }) {
  main.replaceChildren(empty("There is no such page", h("p", {}, h("a", { class: "button", href: "/sessions" }, "All sessions"))));
  return "Not found";
}
