// What can be done with several sessions at once.

import { download, post } from "./api.js";
import { ask, field, menu } from "./dialog.js";
import { h } from "./dom.js";
import { many } from "./format.js";
import { icon } from "./icons.js";
import { attempt, toast } from "./notice.js";

/** The actions on `chosen`, a map of sessions by id. */
export function bulkBar(chosen, { isDeleted, done, clear }) {
  const ids = () => [...chosen.keys()];
  const button = (drawing, label, onclick, kind = "") => h("button", { type: "button", class: `button ${kind}`, onclick }, icon(drawing), label);
  const act = async (action, tag) => {
    const answer = await post("/api/web/sessions/bulk", { ids: ids(), action, tag });
    for (const { message } of answer.failed.slice(0, 3)) toast(message, "bad");
    toast(`${many(answer.done, "session")} changed`);
    await done();
  };
  const tagging = (action, title, verb) => () => ask({
    title,
    action: verb,
    body: field("Tag", h("input", { name: "tag", required: true, maxlength: 50, autocomplete: "off" })),
    submit: (data) => act(action, data.get("tag").trim()),
  });
  const removing = () => ask({
    title: `Delete ${many(chosen.size, "session")}?`,
    action: "Delete",
    danger: true,
    body: h("p", {}, "They are hidden, not lost: they can be restored at any time, and capture goes on behind."),
    submit: () => act("delete"),
  });
  const take = (format) => attempt(() => download("/api/web/export", { ids: ids(), format }, `sessions-${format}.tar`), "The download has begun");
  const formats = [["sfs", "Portable (.sfs)"], ["markdown", "Markdown"], ["html", "Web pages"]];
  return h("div", { class: "bulk", role: "toolbar", "aria-label": "With the selected sessions" },
    h("span", { class: "total", role: "status" }, `${chosen.size} selected`),
    button("tag", "Tag", tagging("tag", `Tag ${many(chosen.size, "session")}`, "Tag")),
    button("tag", "Untag", tagging("untag", `Take a tag off ${many(chosen.size, "session")}`, "Untag")),
    menu([icon("download"), "Export"], formats.map(([format, label]) => h("button", { type: "button", onclick: () => take(format) }, label))),
    isDeleted
      ? button("check", "Restore", () => attempt(() => act("restore")))
      : button("trash", "Delete", removing, "danger"),
    button("close", "Clear", clear, "ghost"));
}
