// The part of a long conversation that is near the eye. Messages are fetched and drawn in blocks; what is far away is a
// gap as high as it was or as it will probably be. Whatever changes height, the first message in sight stays where it is.

import { h } from "./dom.js";
import { waiting } from "./notice.js";

/** Messages in a block. */
const SIZE = 10;
/** Screens that are drawn above and below the one in sight, and those after which a block is taken away. */
const AHEAD = 1.5;
const KEPT = 4;
/** Blocks whose messages are remembered without being drawn. */
const REMEMBERED = 60;
/** What is laid out in one go. */
const SLICE = { messages: 2, characters: 10_000 };
/** The height of a message that nobody saw yet, in pixels. */
const GUESS = 160;
const REQUESTS = 2;

/** A window on `total` messages, drawn into `root` and scrolled with the page. */
export class MessageWindow {
  constructor(root, { total, fetch, render, moved, signal }) {
    Object.assign(this, { root, fetch, render, moved, signal });
    this.total = 0;
    this.blocks = [];
    this.asked = 0;
    this.shows = 0;
    this.guess = GUESS;
    this.anchor = null;
    this.above = h("div", { class: "gap" });
    this.below = h("div", { class: "gap" });
    root.replaceChildren(this.above, this.below);
    this.grow(total);
    this.observer = new ResizeObserver((entries) => this.resized(entries));
    signal.addEventListener("abort", () => this.observer.disconnect());
    window.addEventListener("scroll", () => this.scrolled(), { signal, passive: true });
    window.addEventListener("resize", () => this.scrolled(), { signal });
  }

  grow(total) {
    this.total = total;
    const needed = Math.ceil(total / SIZE);
    for (let n = this.blocks.length; n < needed; n += 1) {
      this.blocks.push({ n, messages: null, node: null, height: null, isAsked: false, isDrawn: false });
    }
    for (const block of this.blocks.splice(needed)) block.node?.remove();
  }

  /** Messages that are here already, so that their block need not be asked for. */
  offer({ from, messages }) {
    const byNumber = new Map(messages.map((message) => [message.number, message]));
    for (const block of this.blocks) {
      const numbers = Array.from({ length: this.length(block) }, (_, n) => block.n * SIZE + n);
      if (block.n >= Math.floor(from / SIZE) && numbers.every((number) => byNumber.has(number))) {
        block.messages = numbers.map((number) => byNumber.get(number));
      }
    }
  }

  length(block) {
    return Math.min(SIZE, this.total - block.n * SIZE);
  }

  height(block) {
    return block.height ?? this.guess * this.length(block);
  }

  /** Draws the beginning. */
  async begin() {
    await this.load(this.blocks[0]);
    await this.update();
  }

  /**
   * Scrolls to message `wanted`, or to the call that it is shown with, and draws what is around it; its node. Nothing where
   * another message was wanted before this one was there.
   */
  async show(wanted, { focus = false } = {}) {
    this.shows += 1;
    const mine = this.shows;
    const asked = this.blocks[Math.floor(Math.max(0, Math.min(wanted, this.total - 1)) / SIZE)];
    if (!asked) return null;
    await this.load(asked);
    const number = this.shownIn(wanted);
    const block = this.blocks[Math.floor(Math.max(0, Math.min(number, this.total - 1)) / SIZE)];
    await this.load(block);
    if (mine !== this.shows) return null;
    const top = this.root.getBoundingClientRect().top + window.scrollY;
    const before = this.blocks.slice(0, block.n).reduce((sum, other) => sum + this.height(other), 0);
    if (!block.node) window.scrollTo(0, top + before);
    this.anchor = null;
    this.place();
    this.fill(block);
    const node = this.node(number);
    if (!node) return null;
    node.scrollIntoView({ block: "start", behavior: "instant" });
    this.anchor = anchorAt(node);
    if (focus) node.focus({ preventScroll: true });
    await this.update();
    return mine === this.shows ? node : null;
  }

  /** Scrolls to the last message. */
  async end() {
    const node = await this.show(this.total - 1, { focus: true });
    if (node) window.scrollTo(0, document.documentElement.scrollHeight);
    return node;
  }

  isAtEnd() {
    const last = this.blocks.at(-1);
    return !last || (last.isDrawn && last.node.getBoundingClientRect().bottom <= window.innerHeight + 40);
  }

  /** The message that `number` is shown in: a call's result has no place of its own. */
  shownIn(number) {
    const message = (n) => this.blocks[Math.floor(n / SIZE)]?.messages?.[n % SIZE];
    let at = number;
    while (at > 0 && isNothing(message(at))) at -= 1;
    return message(at) && !isNothing(message(at)) ? at : number;
  }

  /** The drawn message `number`, or the nearest one after it that shows something. */
  node(number) {
    const block = this.blocks[Math.floor(number / SIZE)];
    const nodes = [...(block?.node?.querySelectorAll(":scope > .message") ?? [])];
    return nodes.find((node) => Number(node.dataset.number) >= number) ?? nodes.at(-1) ?? null;
  }

  focused() {
    return document.activeElement?.closest?.(".messages > .block > .message") ?? this.first();
  }

  number() {
    return Number(this.focused()?.dataset.number ?? 0);
  }

  /** The message after or before the one that has the focus. */
  async step(by) {
    const isFocused = document.activeElement?.closest?.(".messages > .block > .message");
    const at = this.focused();
    if (!at) return;
    const shown = [...this.root.querySelectorAll(":scope > .block > .message")];
    const next = isFocused ? shown[shown.indexOf(at) + by] : at;
    if (next) {
      next.focus({ preventScroll: true });
      next.scrollIntoView({ block: "start", behavior: "instant" });
    } else {
      const number = Number(at.dataset.number) + by;
      if (number >= 0 && number < this.total) await this.show(number, { focus: true });
    }
  }

  /** The first message in sight. */
  first() {
    for (const node of this.root.querySelectorAll(":scope > .block > .message")) {
      if (node.getBoundingClientRect().bottom > this.line()) return node;
    }
    return null;
  }

  /** Where the page below the bars begins. */
  line() {
    return 96;
  }

  scrolled() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      if (this.signal.aborted) return;
      this.hold();
      this.update();
      this.moved(Number(this.anchor?.node.dataset.number ?? 0));
    });
  }

  hold() {
    const node = this.first();
    this.anchor = node && anchorAt(node);
  }

  /** Makes a change that moves nothing in sight. */
  still(change) {
    const node = this.anchor?.node.isConnected ? this.anchor.node : this.first();
    const before = node?.getBoundingClientRect().top;
    change();
    if (node?.isConnected) this.settle(node, node.getBoundingClientRect().top - before);
  }

  settle(node, by) {
    if (Math.abs(by) >= 0.5) window.scrollBy({ top: by, behavior: "instant" });
    this.anchor = anchorAt(node);
  }

  /** Something grew or shrank by itself: a picture came, a fold was opened. */
  resized(entries) {
    for (const { target } of entries) {
      const block = this.blocks[Number(target.dataset.block)];
      if (block?.node === target && block.isDrawn) block.height = target.getBoundingClientRect().height;
    }
    const node = this.anchor?.node;
    if (!node?.isConnected) return;
    const by = anchorAt(node).top - this.anchor.top;
    // At the end of the page the browser followed what shrank.
    const isFollowed = by < 0 && window.scrollY + window.innerHeight >= document.documentElement.scrollHeight - 1;
    this.settle(node, isFollowed ? 0 : by);
  }

  /** The blocks between `screens` above and below the screen. */
  range(screens) {
    const margin = screens * window.innerHeight;
    const top = -this.root.getBoundingClientRect().top;
    let at = 0;
    const found = this.blocks.filter((block) => {
      const from = at;
      at += this.height(block);
      return at > top - margin && from < top + window.innerHeight + margin;
    });
    return found.length ? [found[0].n, found.at(-1).n] : [0, -1];
  }

  /** Puts the blocks around the screen into the page and takes the far ones out; gaps stand for the rest. */
  place() {
    const [from, to] = this.range(AHEAD);
    const [first, last] = this.range(KEPT);
    this.still(() => {
      for (const block of this.blocks) {
        const isNear = block.n >= from && block.n <= to;
        const mayStay = block.node && block.n >= first && block.n <= last && this.touches(block, from, to);
        if (!isNear && !mayStay) this.takeOut(block);
      }
      for (let n = from; n <= to; n += 1) this.putIn(this.blocks[n]);
      const drawn = this.blocks.filter((block) => block.node);
      const sum = (blocks) => blocks.reduce((total, block) => total + this.height(block), 0);
      const edge = drawn[0]?.n ?? 0;
      const end = drawn.at(-1)?.n ?? -1;
      this.above.style.height = `${sum(this.blocks.slice(0, edge))}px`;
      this.below.style.height = `${sum(this.blocks.slice(end + 1))}px`;
    });
  }

  /** Whether everything between `block` and the range is in the page: the blocks there have no gap among them. */
  touches(block, from, to) {
    for (let n = Math.min(block.n, from); n < Math.max(block.n, to); n += 1) {
      if (n !== block.n && (n < from || n > to) && !this.blocks[n].node) return false;
    }
    return true;
  }

  putIn(block) {
    if (block.node) return;
    block.node = h("div", { class: "block", "data-block": block.n }, waiting(6));
    block.node.style.minHeight = `${this.height(block)}px`;
    block.isDrawn = false;
    const next = this.blocks.slice(block.n + 1).find((other) => other.node);
    this.root.insertBefore(block.node, next?.node ?? this.below);
    this.observer.observe(block.node);
  }

  takeOut(block) {
    if (!block.node) return;
    this.observer.unobserve(block.node);
    block.node.remove();
    block.node = null;
    block.isDrawn = false;
  }

  /** Places, asks for what is missing, draws what is there, nearest first. */
  async update() {
    this.place();
    const [from, to] = this.range(0);
    const near = this.blocks.filter((block) => block.node).sort((a, b) => distance(a.n, from, to) - distance(b.n, from, to));
    for (const block of near) {
      if (!block.messages && !block.isAsked && this.asked < REQUESTS) {
        this.load(block).then(breath).then(() => this.update()).catch((error) => this.lost(block, error));
      }
    }
    if (this.isDrawing) return;
    this.isDrawing = true;
    for (let block; (block = this.nextToDraw()); ) await this.draw(block);
    this.isDrawing = false;
    this.forget();
  }

  nextToDraw() {
    const [from, to] = this.range(0);
    const waits = this.blocks.filter((block) => block.node && block.messages && !block.isDrawn);
    return waits.sort((a, b) => distance(a.n, from, to) - distance(b.n, from, to))[0];
  }

  /** Asks for a block's messages; a long one may take several answers. */
  async load(block) {
    if (block.messages) return;
    block.pending ??= this.ask(block);
    await block.pending;
  }

  async ask(block) {
    block.isAsked = true;
    this.asked += 1;
    try {
      const messages = [];
      const from = block.n * SIZE;
      while (messages.length < this.length(block)) {
        const answer = await this.fetch(from + messages.length, this.length(block) - messages.length);
        if (answer.messages.length === 0) break;
        messages.push(...answer.messages);
      }
      block.messages = messages;
    } finally {
      this.asked -= 1;
      block.isAsked = false;
      block.pending = null;
    }
  }

  lost(block, error) {
    if (error.name === "AbortError" || !block.node) return;
    const again = h("button", { type: "button", class: "button", onclick: () => this.update() }, "Try again");
    block.node.replaceChildren(h("p", { class: "row" }, h("span", { class: "error" }, error.message), again));
  }

  /** Draws a block in slices between which the browser can scroll. */
  async draw(block) {
    const { node } = block;
    // What comes above the reader's place comes at once: parts of it would push each other into sight.
    if (this.anchor?.node.isConnected && node.compareDocumentPosition(this.anchor.node) & Node.DOCUMENT_POSITION_FOLLOWING) {
      this.fill(block);
      return breath();
    }
    for (let slice = this.slice(block, 0); slice.from < slice.to; slice = this.slice(block, slice.to)) {
      this.put(block, slice);
      await breath();
      if (this.signal.aborted || block.node !== node || !block.messages || block.isDrawn) return;
    }
    this.finish(block);
  }

  /** Draws a block at once: somebody waits for one of its messages. */
  fill(block) {
    if (block.isDrawn || !block.node) return;
    this.put(block, { from: 0, to: block.messages.length });
    this.finish(block);
  }

  /** The messages from `from` on that are laid out in one go. */
  slice(block, from) {
    let to = from;
    for (let size = 0; to < block.messages.length && to - from < SLICE.messages && size < SLICE.characters; to += 1) size += block.messages[to].html.length;
    return { from, to };
  }

  put(block, { from, to }) {
    const nodes = block.messages.slice(from, to).map((message, n) => this.render(message, this.before(block, from + n)));
    this.still(() => (from === 0 ? block.node.replaceChildren(...nodes) : block.node.append(...nodes)));
  }

  /** The message before the `n`th one of `block`, where it is known. */
  before(block, n) {
    return n > 0 ? block.messages[n - 1] : (this.blocks[block.n - 1]?.messages?.at(-1) ?? null);
  }

  finish(block) {
    this.still(() => {
      block.isDrawn = true;
      block.node.style.minHeight = "";
      block.height = block.node.getBoundingClientRect().height;
    });
    if (this.guess !== GUESS || block.height <= 0) return;
    this.guess = block.height / this.length(block);
    this.place();
  }

  /** Messages far away are asked for again when somebody comes back to them. */
  forget() {
    const kept = this.blocks.filter((block) => block.messages && !block.node);
    const middle = this.range(0)[0];
    kept.sort((a, b) => Math.abs(b.n - middle) - Math.abs(a.n - middle));
    for (const block of kept.slice(0, Math.max(0, kept.length - REMEMBERED))) block.messages = null;
  }

  /** The log is another: what is drawn is asked for again, and only what differs is drawn again. */
  async renew(total) {
    this.grow(total);
    for (const block of this.blocks) if (!block.node) block.messages = null;
    for (const block of this.blocks.filter((other) => other.node)) await this.refresh(block);
    await this.update();
  }

  async refresh(block) {
    const old = block.messages ?? [];
    block.messages = null;
    await this.load(block);
    if (!block.node || !block.isDrawn) return;
    this.still(() => {
      block.messages.forEach((message, n) => {
        const child = block.node.children[n];
        if (old[n] && JSON.stringify(old[n]) === JSON.stringify(message)) return;
        const next = this.render(message, this.before(block, n));
        if (child) child.replaceWith(next);
        else block.node.append(next);
      });
      while (block.node.children.length > block.messages.length) block.node.lastChild.remove();
      block.height = block.node.getBoundingClientRect().height;
    });
  }
}

const isNothing = (message) => message !== undefined && !message.html && !message.agents?.length;

/** A message and where it stands in the page: what the reader scrolls meanwhile does not count. */
const anchorAt = (node) => ({ node, top: node.getBoundingClientRect().top + window.scrollY });

const distance = (n, from, to) => (n < from ? from - n : Math.max(0, n - to));

/** Until the browser had a turn. */
const breath = () => new Promise((resolve) => setTimeout(resolve, 0));
