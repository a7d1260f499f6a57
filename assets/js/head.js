// The head of a session: its title, its facts, its tags, and what can be done with it.

import { patch, post, remove } from "./api.js";
import { command } from "./copy.js";
import { ask, field, menu, show } from "./dialog.js";
import { foreign, h, hidden, printable } from "./dom.js";
import { cost, count, many, moment, place, relative, short } from "./format.js";
import { icon } from "./icons.js";
import { attempt, toast } from "./notice.js";
import { marks, titleOf, toolMark } from "./row.js";
import { shareDialog } from "./share.js";

/** The head of the conversation `session`. */
export function head(session) {
  const about = session.about.session;
  const facts = [
    toolMark(about.tool),
    about.project ? foreign(place(about.project), { class: "place", title: printable(about.project) }) : null,
    about.model ? foreign(about.model, { class: "model" }) : null,
    h("span", {}, many(session.about.message_count ?? about.message_count, "message")),
    h("span", { title: `${count(about.input_tokens)} in, ${count(about.output_tokens)} out` }, `${short(about.input_tokens)} in · ${short(about.output_tokens)} out`),
    h("span", {}, cost(about.cost_usd)),
    h("time", { datetime: about.updated_at, title: moment(about.updated_at) }, relative(about.updated_at)),
    marks(about),
  ];
  return h("div", { class: "head" },
    h("div", { class: "head-title" },
      h("h1", { tabindex: "-1" }, h("bdi", {}, titleOf(about))),
      h("button", { type: "button", class: "ghost", title: "Rename", onclick: () => rename(session) }, icon("pencil"), hidden("Rename"))),
    h("div", { class: "facts" }, facts.flat().filter(Boolean)),
    h("div", { class: "head-foot" }, tags(session), actions(session)));
}

const address = (session) => `/api/web/sessions/${encodeURIComponent(session.about.session.id)}`;

function tags(session) {
  const { tags: all } = session.about.session;
  const keep = (next) => attempt(async () => {
    await patch(address(session), { tags: next });
    await session.renew();
  });
  const add = () => ask({
    title: "Add a tag",
    action: "Add",
    body: field("Tag", h("input", { name: "tag", required: true, maxlength: 50, autocomplete: "off" })),
    submit: async (data) => {
      await patch(address(session), { tags: [...new Set([...all, data.get("tag").trim()])] });
      await session.renew();
    },
  });
  return h("ul", { class: "tags", "aria-label": "Tags" },
    all.map((tag) => h("li", { class: "tag" }, h("a", { href: `/sessions?tag=${encodeURIComponent(tag)}` }, foreign(tag)),
      h("button", { type: "button", class: "ghost", title: "Take off", onclick: () => keep(all.filter((other) => other !== tag)) }, icon("close"), hidden(`Take off the tag ${printable(tag)}`)))),
    h("li", {}, h("button", { type: "button", class: "ghost", onclick: add }, icon("tag"), "Add a tag")));
}

function actions(session) {
  const { session: about, commands } = session.about;
  const files = [["sfs", "Portable (.sfs.tar.gz)"], ["markdown", "Markdown"], ["html", "Web page"]];
  const share = session.context.me.features.includes("shares");
  return h("div", { class: "row actions" },
    h("button", { type: "button", class: "button primary", onclick: () => resume(commands, session.context.me) }, icon("terminal"), "Resume"),
    share ? h("button", { type: "button", class: "button", onclick: () => shareDialog(session) }, icon("share"), "Share") : null,
    menu([icon("download"), "Download"], files.map(([format, label]) => h("a", { href: `${address(session)}/download?format=${format}`, download: true }, label)), { class: "menu right" }),
    about.deleted_at
      ? h("button", { type: "button", class: "button", onclick: () => restore(session) }, icon("check"), "Restore")
      : h("button", { type: "button", class: "button danger", onclick: () => hide(session) }, icon("trash"), "Delete"));
}

function resume(commands, me) {
  const pull = me.is_local ? [] : [h("p", {}, "Get it, on a machine that is logged in here:"), command(commands.pull)];
  show("Continue this session", pull, h("p", {}, "Continue it where it stands, in its own tool or in another one:"),
    commands.resume_in.map(({ name, command: text }) => h("div", {}, h("span", { class: "dim" }, name), command(text))));
}

function rename(session) {
  const { title } = session.about.session;
  ask({
    title: "Rename the session",
    action: "Rename",
    body: field("Title", h("input", { name: "title", value: title ?? "", maxlength: 500, autocomplete: "off" }), "Empty: the title that its tool gave it."),
    submit: async (data) => {
      await patch(address(session), { title: data.get("title").trim() || null });
      await session.renew();
      toast("Renamed");
    },
  });
}

function hide(session) {
  ask({
    title: "Delete this session?",
    action: "Delete",
    danger: true,
    body: h("p", {}, "It is hidden, not lost: it can be restored at any time, and capture goes on behind."),
    submit: async () => {
      await remove(address(session));
      await session.renew();
      toast("Deleted; Restore brings it back");
    },
  });
}

const restore = (session) => attempt(async () => {
  await post(`${address(session)}/restore`);
  await session.renew();
}, "Restored");
