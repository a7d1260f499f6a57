// One session: its head, its messages in a window, and what belongs to it beside them.

import { transcriptDialog } from "./agent.js";
import { get } from "./api.js";
import { copy } from "./copy.js";
import { h } from "./dom.js";
import { count } from "./format.js";
import { icon } from "./icons.js";
import { Find } from "./find.js";
import { head } from "./head.js";
import { bind } from "./keyboard.js";
import { follow } from "./live.js";
import { renderMessage } from "./message.js";
import { NOT_HERE, empty, toast } from "./notice.js";
import { decoded, remember } from "./router.js";
import { titleOf } from "./row.js";
import { Aside } from "./aside.js";
import { MessageWindow } from "./window.js";

export default async function view(context) {
  const conversation = new Conversation(context);
  return conversation.open();
}

class Conversation {
  constructor(context) {
    this.context = context;
    this.path = `/api/web/sessions/${encodeURIComponent(context.parameters.id)}`;
  }

  async open() {
    const { main, signal, state } = this.context;
    const target = afterPrefix("#m-");
    // Asked for together: the first messages need not wait for the head.
    const early = get(`${this.path}/messages`, target ? { around: target, limit: 20 } : { from: state.at ?? 0, limit: 20 }, signal);
    early.catch(() => {});
    this.about = await get(this.path, {}, signal);
    const first = await early.catch((error) => (error.status === 404 && target ? null : Promise.reject(error)));
    this.list = h("div", { class: "messages" });
    this.window = new MessageWindow(this.list, {
      total: this.about.message_count,
      fetch: (from, limit) => get(`${this.path}/messages`, { from, limit }, signal),
      render: (message, previous) => renderMessage(message, previous, this),
      moved: (number) => this.moved(number),
      signal,
    });
    this.find = new Find(this);
    this.aside = new Aside(this);
    this.headPlace = h("div");
    this.latest = h("button", { type: "button", class: "button latest unseen", onclick: () => this.window.end() });
    main.className = "conversation";
    main.replaceChildren(this.headPlace, h("div", { class: "columns" },
      h("section", { class: "log", "aria-label": "Conversation" }, this.find.node, this.list, this.latest), this.aside.node));
    this.draw();
    this.bind();
    await this.begin(target, first);
    this.toAgent();
    follow(this.about.session.id, () => this.renew({ quietly: true }), signal);
    window.addEventListener("hashchange", () => this.toHash(), { signal });
    return titleOf(this.about.session);
  }

  async begin(target, first) {
    if (this.about.message_count === 0) {
      this.list.append(empty("No messages yet", h("p", {}, "They appear here as soon as the tool writes them.")));
      return;
    }
    if (first) this.window.offer(first);
    const hit = target && first?.messages.find(({ id }) => id === target);
    if (hit) this.unfold(await this.window.show(hit.number, { focus: true }));
    else if (this.context.state.at) await this.window.show(this.context.state.at);
    else await this.window.begin();
    if (target && !hit) toast(NOT_HERE, "bad");
    this.aside.load(this.window.number());
  }

  /** `quietly`: whoever has a menu open or is about to press a button is left alone. */
  draw({ quietly = false } = {}) {
    const isBusy = (node) => quietly && node.matches(":focus-within, :has(details.menu[open])");
    if (!isBusy(this.headPlace)) this.headPlace.replaceChildren(head(this));
    if (!isBusy(this.aside.details)) this.aside.draw();
    document.title = `${titleOf(this.about.session)} · sessionfs`;
  }

  /** After the session was changed here or grew elsewhere. */
  async renew(how) {
    const before = this.about.message_count;
    this.about = await get(this.path, {}, this.context.signal);
    const wasAtEnd = this.window.isAtEnd();
    this.draw(how);
    if (before === 0 && this.about.message_count > 0) return this.context.again();
    await this.window.renew(this.about.message_count);
    if (this.about.message_count !== before) this.aside.renew();
    if (wasAtEnd && this.about.message_count > before) this.window.end();
    this.arrived = wasAtEnd ? 0 : (this.arrived ?? 0) + this.about.message_count - before;
    this.drawLatest();
  }

  moved(number) {
    this.aside.mark(number);
    this.drawLatest();
    remember({ at: number });
  }

  drawLatest() {
    const isAtEnd = this.window.isAtEnd();
    if (isAtEnd) this.arrived = 0;
    this.latest.classList.toggle("unseen", isAtEnd);
    this.latest.replaceChildren(icon("down"), this.arrived > 0 ? `${count(this.arrived)} new` : "Latest");
  }

  bind() {
    const { signal } = this.context;
    const close = () => this.find.close();
    bind({
      "/": ["Find in this session", () => this.find.open()],
      j: ["Next message", () => this.window.step(1)],
      k: ["Previous message", () => this.window.step(-1)],
      n: ["Next prompt", () => this.prompt(1)],
      p: ["Previous prompt", () => this.prompt(-1)],
      o: ["Unfold or fold the message", () => this.fold()],
      y: ["Copy the message's address", () => this.address()],
      "<": ["First message", () => this.window.show(0, { focus: true })],
      G: ["Latest message", () => this.window.end()],
      Escape: ["Close the search", close],
    }, signal);
  }

  async prompt(by) {
    const at = this.window.number();
    const prompts = (await this.aside.around(at)).map(({ number }) => number);
    const next = by > 0 ? prompts.find((number) => number > at) : prompts.findLast((number) => number < at);
    if (next !== undefined) await this.window.show(next, { focus: true });
  }

  fold() {
    const folds = [...(this.window.focused()?.querySelectorAll("details") ?? [])];
    const isOpen = folds.some((fold) => fold.open);
    for (const fold of folds) fold.open = !isOpen;
  }

  address() {
    const message = this.window.focused();
    if (message) copy(new URL(`#${message.id}`, location.href).href, "Address copied");
  }

  async toHash() {
    const target = afterPrefix("#m-");
    if (target) await this.jump(target);
    else if (location.hash.startsWith("#a-")) this.toAgent();
    else if (!location.hash && history.state?.at !== undefined) await this.window.show(history.state.at);
  }

  /** Shows the sub-agent's message that the address names. */
  toAgent() {
    const target = afterPrefix("#a-");
    // A reader who presses the permalink of what he reads stays where he is.
    if (!target || document.getElementById(`a-${target}`)) return;
    const agents = this.about.agents.filter(({ id }) => target.startsWith(`${id}-`));
    const agent = agents.sort((a, b) => b.id.length - a.id.length)[0];
    if (agent) transcriptDialog(agent, this, target.slice(agent.id.length + 1));
    else toast(NOT_HERE, "bad");
  }

  /** Shows the message with this id, wherever it stands. */
  async jump(id) {
    let hit = null;
    try {
      const answer = await get(`${this.path}/messages`, { around: id, limit: 1 }, this.context.signal);
      hit = answer.messages.find((message) => message.id === id);
    } catch (error) {
      if (error.status !== 404) return error.name === "AbortError" ? null : toast(error.message, "bad");
    }
    if (!hit) return toast(NOT_HERE, "bad");
    return this.unfold(await this.window.show(hit.number, { focus: true }));
  }

  /** Shows what an address leads to, also where it is folded away: the words of a search, or all of the message. */
  unfold(node) {
    const words = this.context.query.get("find");
    if (node && !(words && this.find.mark(node, words))) for (const fold of node.querySelectorAll("details:is(.more, .long)")) fold.open = true;
    return node;
  }
}

/** What follows `prefix` in the fragment of the address. */
const afterPrefix = (prefix) => (location.hash.startsWith(prefix) ? (decoded(location.hash.slice(prefix.length)) ?? location.hash.slice(prefix.length)) : null);
