// What belongs to a session and is not said in it: its prompts as a table of contents, lineage, usage, checkpoints, shares.

import { get, post, remove } from "./api.js";
import { command } from "./copy.js";
import { ask, field } from "./dialog.js";
import { foreign, h, hidden, printable } from "./dom.js";
import { cost, count, many, moment, place, relative, short, usage } from "./format.js";
import { icon } from "./icons.js";
import { attempt } from "./notice.js";
import { titleOf, toolMark } from "./row.js";
import { shareList } from "./share.js";
import { transcriptDialog } from "./agent.js";

/** Prompts between the one that is read and an end of those that were told, before others are asked for. */
const MARGIN = 20;
/** From so many messages on a session is long, and its table of contents is renewed this often, in milliseconds. */
const LONG = 1000;
const PACE = 30_000;

/** The column beside the conversation; folded where there is no room for it. */
export class Aside {
  constructor(session) {
    this.session = session;
    this.contents = h("ol", { class: "contents" });
    this.edges = [h("p"), h("p")];
    session.turns = new Map();
    this.branches = h("ul", { class: "contents" });
    this.details = h("div");
    this.shares = h("div");
    const wide = window.matchMedia("(min-width: 72rem)");
    this.fold = h("details", { open: wide.matches }, h("summary", { class: "button" }, icon("list"), "Contents and details"), h("div", { class: "aside-body" },
      this.contentsPart = part("Prompts", this.edges[0], this.contents, this.edges[1]), this.branchesPart = part("Branches and compactions", this.branches), this.details, this.shares));
    wide.addEventListener("change", () => (this.fold.open = wide.matches), { signal: session.context.signal });
    this.node = h("aside", { class: "aside", "aria-label": "About this session" }, this.fold);
    this.contentsPart.hidden = this.branchesPart.hidden = true;
  }

  /** What a change of the session's record may alter. */
  draw() {
    const { about } = this.session;
    this.details.replaceChildren(...[this.lineage(about), this.agents(about), this.usage(about), this.facts(about), this.checkpoints(about), this.commands(about)].filter(Boolean));
    if (this.session.context.me.features.includes("shares")) shareList(this.session, this.shares);
  }

  /** The table of contents, after the first messages are there. */
  async load(around = this.at ?? 0) {
    this.loaded = Date.now();
    const asked = (this.asked = get(`${this.session.path}/outline`, { around }, this.session.context.signal));
    try {
      const told = await asked;
      // Somebody asked for another part meanwhile.
      if (asked !== this.asked) return;
      this.told = told;
    } catch (error) {
      if (asked === this.asked && error.name !== "AbortError") this.fail(error, around);
      return;
    } finally {
      if (asked === this.asked) this.asked = null;
    }
    const turns = this.told.prompts.filter((prompt) => prompt.usage);
    for (const { number, usage: sum } of turns) {
      this.session.turns.set(number, sum);
      const node = document.querySelector(`.messages > .block > .message[data-number="${number}"] > header .tools`);
      if (node && !node.parentElement.querySelector(".usage")) node.before(h("span", { class: "dim usage" }, `turn: ${usage(sum)}`));
    }
    this.drawContents();
    this.drawBranches();
  }

  fail(error, around) {
    const again = h("button", { type: "button", class: "button small", onclick: () => this.load(around) }, "Try again");
    this.contentsPart.hidden = this.edges[0].hidden = false;
    this.edges[0].replaceChildren(h("span", { class: "error" }, error.message), " ", again);
  }

  /** The session grew: the table of contents of a long one is not asked for at every line. */
  renew() {
    if (this.timer) return;
    const wait = this.session.about.message_count < LONG ? 0 : Math.max(0, (this.loaded ?? 0) + PACE - Date.now());
    this.timer = setTimeout(() => {
      this.timer = null;
      if (!this.session.context.signal.aborted) this.load();
    }, wait);
  }

  /** The prompts around message `number`. */
  async around(number) {
    if (!this.told || !this.holds(number)) await this.load(number);
    return this.told?.prompts ?? [];
  }

  /** Whether enough of the prompts before and after message `number` was told. */
  holds(number) {
    const { first, prompts, prompt_count: all } = this.told;
    const at = this.before(number);
    const isBehind = prompts.length > 0 && prompts[0].number <= number;
    return (first === 0 || (isBehind && at >= MARGIN)) && (first + prompts.length >= all || at < prompts.length - MARGIN);
  }

  /** Message `number` is being read. */
  mark(number) {
    this.at = number;
    if (!this.told?.prompts.length) return;
    if (!this.asked && !this.holds(number)) this.load(number);
    const old = this.contents.querySelector("[aria-current]");
    const isTold = this.told.first === 0 || this.told.prompts[0].number <= number;
    const next = isTold ? this.contents.children[this.before(number)]?.querySelector("a") : null;
    if (old === next) return;
    old?.removeAttribute("aria-current");
    next?.setAttribute("aria-current", "true");
    if (next) this.contents.scrollTop = next.offsetTop - this.contents.clientHeight / 2;
  }

  /** The prompt to which message `number` belongs. */
  before(number) {
    return Math.max(0, this.told.prompts.findLastIndex((prompt) => prompt.number <= number));
  }

  drawContents() {
    const { prompts, first, prompt_count: all } = this.told;
    this.contents.start = first + 1;
    this.contents.replaceChildren(...prompts.map((prompt) => h("li", {}, this.jump(prompt, foreign(prompt.text || "(no text)")))));
    this.contentsPart.hidden = all === 0;
    this.contentsPart.firstChild.textContent = `Prompts (${count(all)})`;
    this.edge(0, first, "earlier", prompts[0]?.number);
    this.edge(1, all - first - prompts.length, "later", prompts.at(-1)?.number);
    // Whoever looks at another part of the contents than of the conversation is left there.
    if (this.holds(this.at ?? 0)) this.mark(this.at ?? 0);
  }

  /** Leads on from an end of the prompts that are shown. */
  edge(end, missing, word, around) {
    const button = h("button", { type: "button", class: "link", onclick: () => this.turn(end, around) }, `${many(missing, `${word} prompt`)}…`);
    this.edges[end].replaceChildren(...(missing > 0 ? [button] : []));
    this.edges[end].hidden = missing <= 0;
  }

  async turn(end, around) {
    await this.load(around);
    const links = [...this.contents.querySelectorAll("a")];
    const reached = this.told.prompts.findIndex(({ number }) => number >= around);
    links[Math.max(0, reached)]?.focus();
  }

  drawBranches() {
    const { branches = [], compactions = [], branch_count: branchCount, compaction_count: compactionCount } = this.told;
    const items = [
      ...branches.map((branch) => ({ ...branch, text: `Abandoned branch, ${many(branch.to - branch.number, "message")}` })),
      ...compactions.map((compaction) => ({ ...compaction, text: "Compaction" })),
    ].sort((a, b) => a.number - b.number);
    this.branchesPart.hidden = items.length === 0;
    const missing = branchCount + compactionCount - items.length;
    this.branches.replaceChildren(...items.map((item) => h("li", {}, this.jump(item, `${item.text} at #${item.number + 1}`))),
      ...(missing > 0 ? [h("li", { class: "dim" }, `${count(missing)} others are farther away: they appear as you read on.`)] : []));
  }

  jump({ number, id }, ...label) {
    const press = (event) => {
      event.preventDefault();
      this.session.window.show(number, { focus: true });
    };
    return h("a", { href: id ? `#m-${id}` : "#", onclick: press }, label);
  }

  lineage({ lineage }) {
    const line = (session, what) => h("li", {}, h("span", { class: "dim" }, `${what} `), h("a", { href: `/sessions/${session.id}` }, h("bdi", {}, titleOf(session))), " ", toolMark(session.tool));
    const parents = lineage.parent ? [line(lineage.parent, lineage.relation === "fork" ? "Forked from" : "Continues")] : [];
    const children = lineage.children.map(({ session, relation }) => line(session, relation === "fork" ? "Forked as" : "Resumed as"));
    return parents.length + children.length ? part("Lineage", h("ul", { class: "plain" }, parents, children)) : null;
  }

  agents({ agents }) {
    const open = (agent) => transcriptDialog(agent, this.session);
    const items = agents.map((agent) => h("li", {}, h("button", { type: "button", class: "link", onclick: () => open(agent) }, foreign(agent.title || agent.id)),
      h("span", { class: "dim" }, ` ${many(agent.message_count, "message")}`)));
    return items.length ? part(`Sub-agents (${count(items.length)})`, h("ul", { class: "plain" }, items)) : null;
  }

  usage({ usage: models }) {
    if (!models.length) return null;
    // A model's name has a line of its own: beside it, the figures would not have room.
    const groups = models.map((model) => h("tbody", {}, h("tr", {}, h("th", { scope: "rowgroup", colspan: 4 }, printable(model.model ?? "unknown"))),
      h("tr", {}, [short(model.input_tokens), short(model.cache_read_tokens), short(model.output_tokens), cost(model.cost_usd)].map((figure) => h("td", {}, figure)))));
    const head = ["In", "Cached", "Out", "Cost"].map((name) => h("th", { scope: "col" }, name));
    return part("Tokens and cost", h("table", { class: "numbers by-model" }, h("thead", {}, h("tr", {}, head)), groups));
  }

  facts({ session, native_id: native, tool_name: tool, git, notes = [] }) {
    const facts = [
      ["Tool", tool],
      ["Project", session.project && place(session.project)],
      ["Branch", git?.branch],
      ["Commit", git?.commit?.slice(0, 12)],
      ["Remote", git?.remote],
      ["Device", session.device],
      ["Began", moment(session.created_at)],
      ["Last active", moment(session.updated_at)],
      ["Id", session.id],
      ["Its id in the tool", native],
      ["Copy in the tool", session.native_present === false ? "gone; safe here" : session.native_present ? "there" : null],
    ].filter(([, value]) => value);
    return part("Details", h("dl", { class: "details" }, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, foreign(value))])),
      notes.length ? h("ul", { class: "notes" }, notes.map((note) => h("li", {}, printable(note)))) : null);
  }

  checkpoints({ checkpoints }) {
    const { session } = this;
    const take = (name) => attempt(async () => {
      await remove(`${session.path}/checkpoints/${encodeURIComponent(name)}`);
      await session.renew();
    }, "Checkpoint removed");
    const make = () => ask({
      title: "Mark where the session stands",
      action: "Make the checkpoint",
      body: field("Name", h("input", { name: "name", required: true, maxlength: 100, autocomplete: "off" }), "sfs resume … --at NAME goes on from here."),
      submit: async (data) => {
        await post(`${session.path}/checkpoints`, { name: data.get("name").trim() });
        await session.renew();
      },
    });
    const items = checkpoints.map(({ name, created_at: at }) => h("li", {}, icon("flag"), " ", foreign(name), " ",
      h("time", { class: "dim", datetime: at, title: moment(at) }, relative(at)),
      h("button", { type: "button", class: "ghost", title: "Remove", onclick: () => take(name) }, icon("close"), hidden(`Remove the checkpoint ${printable(name)}`))));
    return part("Checkpoints", items.length ? h("ul", { class: "plain" }, items) : null, h("p", {}, h("button", { type: "button", class: "button small", onclick: make }, icon("flag"), "Make a checkpoint")));
  }

  commands({ commands }) {
    const pull = this.session.context.me.is_local ? [] : [commands.pull];
    return part("Continue it", [...pull, commands.resume].map(command));
  }
}

function part(heading, ...body) {
  return h("section", { class: "part" }, h("h2", {}, heading), ...body);
}
