// What a sub-agent did: a conversation of its own, fetched when somebody looks.

import { get } from "./api.js";
import { show } from "./dialog.js";
import { h, printable } from "./dom.js";
import { many } from "./format.js";
import { icon } from "./icons.js";
import { renderMessage } from "./message.js";
import { NOT_HERE, attempt, toast } from "./notice.js";

/** Messages that are shown at once. */
const STEP = 50;

/** The fold below the call that started the sub-agent with this id. */
export function subAgent(id, session) {
  const about = session.about.agents.find((agent) => agent.id === id) ?? { id, message_count: 0 };
  const { node, load } = transcript(about, session);
  const unfold = ({ target }) => target === fold && fold.open && !node.firstChild.hasChildNodes() && load();
  const fold = h("details", { class: "agent", ontoggle: unfold },
    h("summary", {}, icon("branch"), ` Sub-agent: ${printable(about.title || id)} · ${many(about.message_count, "message")}`), node);
  return fold;
}

/** The same on its own, at the message with the id `at`: not every tool says which call started a sub-agent. */
export function transcriptDialog(about, session, at = null) {
  const { node, load, reach } = transcript(about, session);
  if (at === null) load();
  else reach(at);
  show(`Sub-agent: ${printable(about.title || about.id)}`, node).classList.add("large");
}

function transcript(about, session) {
  const place = h("div", { class: "nested" });
  const more = h("button", { type: "button", class: "button", onclick: () => load() }, "Show more");
  const within = { path: session.path, about: session.about, context: session.context, turns: null, agent: about.id };
  let from = 0;
  let previous = null;
  const load = () => attempt(async () => {
    more.disabled = true;
    const answer = await get(`${session.path}/messages`, { agent: about.id, from, limit: STEP }, session.context.signal);
    for (const message of answer.messages) {
      place.append(renderMessage(message, previous, within, `a-${about.id}`));
      previous = message;
    }
    from = answer.from + answer.messages.length;
    more.disabled = false;
    more.hidden = from >= answer.total || answer.messages.length === 0;
  });
  /** Loads until the message with this id is there, and goes to it. */
  const reach = async (id) => {
    const find = () => place.querySelector(`#${CSS.escape(`a-${about.id}-${id}`)}`);
    while (!find() && !more.hidden && (await load()));
    let found = find();
    while (found?.matches(".nothing")) found = found.previousElementSibling;
    if (!found) return toast(NOT_HERE, "bad");
    found.scrollIntoView({ block: "start", behavior: "instant" });
    found.focus({ preventScroll: true });
  };
  return { node: h("div", {}, place, h("p", {}, more)), load, reach };
}
