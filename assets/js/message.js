// One message: who, when, what it cost, and what the server rendered of it.

import { subAgent } from "./agent.js";
import { get } from "./api.js";
import { copy, copyButton } from "./copy.js";
import { h, hidden, printable } from "./dom.js";
import { bytes, moment, relative, usage } from "./format.js";
import { setRendered } from "./html.js";
import { icon } from "./icons.js";
import { attempt } from "./notice.js";

const NAMES = { user: "User", assistant: "Assistant", tool: "Tool", system: "Client", compaction: "Compaction", task: "Task" };
/** More is folded: laid out when somebody opens it. In characters of HTML. */
const LONG = 60_000;

/** The element of `message`; `session` is the conversation it stands in. */
export function renderMessage(message, previous, session, prefix = "m") {
  const id = `${prefix}-${message.id}`;
  if (!message.html && !message.agents?.length) return h("span", { class: "nothing", id, "data-number": message.number });
  const goesOn = previous && isVoice(previous) && isVoice(message) && previous.is_live === message.is_live;
  const body = content(message, session);
  return h("article", {
    class: ["message", message.kind, goesOn ? "goes-on" : "", message.is_live ? "" : "past", message.is_inherited ? "inherited" : ""].filter(Boolean).join(" "),
    id, "data-number": message.number, tabindex: "-1", "aria-label": `${NAMES[message.kind] ?? message.kind}, message ${message.number + 1}`,
  }, border(message, previous), header(message, body, id, session), body, (message.agents ?? []).map((agent) => subAgent(agent, session)));
}

const isVoice = ({ kind }) => kind === "assistant" || kind === "tool";

/** Where a branch parts from the live conversation, and where that goes on. */
function border(message, previous) {
  if (message.is_live === (previous?.is_live ?? true)) return null;
  if (message.is_live) return h("p", { class: "border" }, icon("branch"), "The live conversation goes on here");
  return h("p", { class: "border" }, icon("branch"), "From here on: what the model does not see any more");
}

function header(message, body, id, session) {
  const notes = [
    message.model && isVoice(message) ? h("span", { class: "dim" }, printable(message.model)) : null,
    message.branch ? h("span", { class: "mark" }, icon("branch"), printable(message.branch)) : null,
    message.is_inherited ? h("span", { class: "mark" }, icon("branch"), "inherited") : null,
  ];
  const address = () => new URL(`${location.pathname}#${id}`, location.href).href;
  const cost = message.usage ? h("span", { class: "dim usage" }, usage(message.usage)) : null;
  const turn = session.turns?.get(message.number);
  return h("header", {},
    h("h2", {}, NAMES[message.kind] ?? message.kind), notes,
    message.at ? h("time", { class: "dim", datetime: message.at, title: moment(message.at) }, relative(message.at)) : null,
    turn ? h("span", { class: "dim usage" }, `turn: ${usage(turn)}`) : cost,
    h("span", { class: "tools" },
      copyButton(() => body.innerText, "Copy the message", "Message copied"),
      h("a", { class: "ghost", href: `#${id}`, title: "Permalink", onclick: () => copy(address(), "Address copied") },
        hidden("Permalink to message "), `#${message.number + 1}`)));
}

function content(message, session) {
  const body = setRendered(h("div", { class: "rendered" }), message.html);
  for (const block of body.querySelectorAll("pre:not(details.more > pre)")) withCopy(block);
  for (const table of body.querySelectorAll("table")) table.replaceWith(h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table" }, table.cloneNode(true)));
  if (message.html.length > LONG) fold(body, `A long message: ${bytes(message.text_length)}`, "long");
  else if (message.kind === "system") fold(body, body.textContent.trim().slice(0, 90) || "Nothing to see", "other");
  if (message.is_cut) body.append(whole(message, body, session));
  return body;
}

function withCopy(block) {
  // What is folded below it is the rest of the same text.
  const more = block.nextElementSibling?.matches("details.more") ? block.nextElementSibling : null;
  const rest = more ? `${more.matches(".of-line") ? "" : "\n"}${more.querySelector("pre").textContent}` : "";
  const frame = h("div", { class: "code" });
  block.replaceWith(frame);
  frame.append(block, copyButton(() => block.innerText + rest, "Copy", undefined));
}

function fold(body, summary, kind) {
  const details = h("details", { class: kind }, h("summary", {}, summary));
  details.append(...body.childNodes);
  body.append(details);
}

/** The rest of a message that came cut. */
function whole(message, body, session) {
  const press = () => attempt(async () => {
    button.disabled = true;
    const all = await get(`${session.path}/messages/${message.number}`, { agent: session.agent }, session.context.signal);
    const next = content({ ...all, is_cut: false }, session);
    body.replaceChildren(...next.childNodes);
  });
  const button = h("button", { type: "button", class: "button", onclick: press }, `Show all of it (${bytes(message.text_length)})`);
  return h("p", { class: "cut" }, button);
}
