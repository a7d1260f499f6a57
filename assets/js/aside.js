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

/** Prompts that the table of contents shows around the one that is read. */
const SHOWN = 200;
/** From so many messages on a session is long, and its table of contents is renewed this often, in milliseconds. */
const LONG = 1000;
const PACE = 30_000;

/** The column beside the conversation; folded where there is no room for it. */
export class Aside {
  constructor(session) {
    this.session = session;
    this.contents = h("ol", { class: "contents" });
    this.branches = h("ul", { class: "contents" });
    this.details = h("div");
    this.shares = h("div");
    const wide = window.matchMedia("(min-width: 72rem)");
    this.fold = h("details", { open: wide.matches }, h("summary", { class: "button" }, icon("list"), "Contents and details"), h("div", { class: "aside-body" },
      this.contentsPart = part("Prompts", this.contents), this.branchesPart = part("Branches and compactions", this.branches), this.details, this.shares));
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
  async load() {
    this.loaded = Date.now();
    this.asked = get(`${this.session.path}/outline`, {}, this.session.context.signal);
    try {
      this.told = await this.asked;
    } catch {
      return;
    }
    this.session.turns = new Map(this.told.prompts.filter((prompt) => prompt.usage).map(({ number, usage: sum }) => [number, sum]));
    for (const [number, sum] of this.session.turns) {
      const node = document.querySelector(`.messages > .block > .message[data-number="${number}"] > header .tools`);
      if (node && !node.parentElement.querySelector(".usage")) node.before(h("span", { class: "dim usage" }, `turn: ${usage(sum)}`));
    }
    this.drawContents(this.at ?? 0);
    this.drawBranches();
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

  async outline() {
    return (await this.asked) ?? { prompts: [] };
  }

  /** Message `number` is being read. */
  mark(number) {
    this.at = number;
    if (!this.told?.prompts.length) return;
    const at = this.before(number);
    if (at < this.from || at >= this.from + SHOWN) this.drawContents(number);
    const old = this.contents.querySelector("[aria-current]");
    const next = this.contents.children[at - this.from]?.querySelector("a");
    if (old === next) return;
    old?.removeAttribute("aria-current");
    next?.setAttribute("aria-current", "true");
    if (next) this.contents.scrollTop = next.offsetTop - this.contents.clientHeight / 2;
  }

  /** The prompt to which message `number` belongs. */
  before(number) {
    return Math.max(0, this.told.prompts.findLastIndex((prompt) => prompt.number <= number));
  }

  drawContents(number) {
    const { prompts } = this.told;
    const at = this.before(number);
    this.from = Math.max(0, Math.min(at - SHOWN / 2, prompts.length - SHOWN));
    const shown = prompts.slice(this.from, this.from + SHOWN);
    this.contents.start = this.from + 1;
    this.contents.replaceChildren(...shown.map((prompt) => h("li", {}, this.jump(prompt, foreign(prompt.text || "(no text)")))));
    this.contentsPart.hidden = prompts.length === 0;
    this.contentsPart.firstChild.textContent = `Prompts (${count(prompts.length)})`;
    this.mark(number);
  }

  drawBranches() {
    const { branches = [], compactions = [] } = this.told;
    const items = [
      ...branches.map((branch) => ({ ...branch, text: `Abandoned branch, ${many(branch.to - branch.number, "message")}` })),
      ...compactions.map((compaction) => ({ ...compaction, text: "Compaction" })),
    ].sort((a, b) => a.number - b.number);
    this.branchesPart.hidden = items.length === 0;
    this.branches.replaceChildren(...items.map((item) => h("li", {}, this.jump(item, `${item.text} at #${item.number + 1}`))));
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
    const rows = models.map((model) => h("tr", {}, h("th", { scope: "row" }, printable(model.model ?? "unknown")),
      h("td", {}, short(model.input_tokens)), h("td", {}, short(model.cache_read_tokens)), h("td", {}, short(model.output_tokens)), h("td", {}, cost(model.cost_usd))));
    const head = ["Model", "In", "Cached", "Out", "Cost"].map((name) => h("th", { scope: "col" }, name));
    return part("Tokens and cost", h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Tokens and cost" }, h("table", { class: "numbers" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows))));
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
