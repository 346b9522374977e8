// @ts-check
// Duplicates: the clips of one group side by side, in step with the one that stays; keys say what becomes of each.
/** @import { Group, GroupsMessage, ListProps, Member } from "./types" */

import { askForCases, CasePage } from "./case_page.js";
import { belongsToFocus, keyButton, make, makeDiv, once } from "./dom.js";
import { Copy, through } from "./duplicate_copy.js";
import { mount } from "./mount.js";
import { DONE, NumberKeys } from "./queue_page.js";

const LOOK_MS = 500;
const LARGE = 6; // clips at most that are shown in full size; more of them as small copies
/** @type {Record<string, string>} */
const QUESTIONS = { // of the lists of two clips each
  pairs: "Are these two copies of each other?",
  shared: "These two share some seconds: is one of them to go?",
};
const STEP_MS = 100; // how often the clips are brought into step
const SETTINGS = { ahead: 3, actions: "labeler/groups/acts", reading: "the groups are being read" };

/** @typedef {{ group: Group, before: Pick<Group, "members" | "states" | "settled"> }} Made what was done to which group, and how that was before */

/** @extends {CasePage<Group, Made, { total: number }>} */
class Duplicates extends CasePage {
  /** @type {Map<number, Copy>} */
  copies = new Map(); // of this group and the next, by clip
  total = 0;
  again = false; // the list was read to its end once
  chosen = 1;
  /** @type {Group | null | undefined} */
  shown = undefined;
  playing = ""; // the clips that play together
  /** @type {number | null} */
  startedAt = null;
  span = [0, 1]; // seconds of the first clip that are played
  numbers = new NumberKeys((index) => this.current?.members[index] && this.choose(index), () => this.render());

  constructor(/** @type {HTMLElement} */ root, /** @type {ListProps} */ props) {
    super(root, props, ["Enter", "z", "n", "x", "k", "d", "ArrowLeft", "ArrowRight"]);
    this.buttons = [
      keyButton("Keep 1, remove the rest", "Enter", "the first stays, the others are duplicates", () => this.settle(), true),
      keyButton("None is a copy", "n", "these are different clips: never shown together again", () => this.none()),
      keyButton("Keep", "k", "the chosen clip is to stay: it becomes the first", () => this.keep()),
      keyButton("Remove", "d", "the chosen clip alone is a duplicate", () => this.remove()),
      keyButton("Split off", "x", "the chosen clip is no copy of the first", () => this.split())];
    this.undoButton = keyButton("Undo", "z", "take back the last thing you did; again for the one before", () => this.undo());
    const bar = makeDiv("bar", ...this.buttons, this.undoButton,
      keyButton("", "←", "the group before", () => this.go(-1)), keyButton("", "→", "the next group", () => this.go(1)));
    this.title = makeDiv("question");
    this.sheet = makeDiv("copies");
    root.append(this.title, bar, this.pending, this.sheet, this.toast);
    this.stepping = setInterval(() => this.step(), STEP_MS);
    this.refresh();
  }

  close() {
    super.close();
    clearInterval(this.stepping);
    this.numbers.clear();
    this.copies.forEach((copy) => copy.player.clear());
  }

  get settings() {
    return SETTINGS;
  }

  // The groups to come

  async request() {
    /** @type {GroupsMessage} */
    const message = await askForCases(this.props, "labeler/groups", this.after, { fresh: !this.cases.length });
    return { ...message, cases: message.groups.map((group) => ({ ...group, states: new Map(), settled: false })) };
  }

  nameOf(/** @type {Group} */ group) {
    return group.members[0].clip;
  }

  advance(/** @type {{ cases: Group[], total: number }} */ { cases: groups, total }, /** @type {Group[]} */ fresh) {
    this.total = total;
    this.ended = !groups.length && (!this.after || this.again); // once more from the start: for what came meanwhile
    this.again = !groups.length;
    this.after = groups.at(-1)?.place ?? null;
    if (!fresh.length && !this.ended) setTimeout(() => this.fill(), 0);
  }

  restart() {
    this.again = false;
    super.restart();
  }

  // What is on screen

  inside(/** @type {Group} */ group) {
    return group.members.filter((member) => !member.out && !group.states.has(member.clip));
  }

  copyOf(/** @type {Member} */ member, /** @type {Group} */ group) {
    const made = this.copies.get(member.clip)
      ?? new Copy(member, group.members.length > LARGE ? "previews" : "clips", () => this.render());
    this.copies.set(member.clip, made);
    return made;
  }

  show() {
    const near = this.cases.slice(this.at, this.at + 2);
    const wanted = new Set(near.flatMap((group) => group.members.map((member) => member.clip)));
    for (const [clip, copy] of this.copies) if (!wanted.has(clip)) { copy.player.clear(); this.copies.delete(clip); }
    near.forEach((group) => group.members.forEach((member) => this.copyOf(member, group)));
    if (this.current !== this.shown) {
      this.shown = this.current;
      this.chosen = 1;
      this.shownAt = performance.now();
      this.clock.lap();
      scrollTo({ top: 0 });
    }
    this.arrange();
    this.render();
  }

  arrange() {
    const group = this.current;
    const members = group?.members ?? [];
    const elements = group ? members.map((member, index) => {
      const copy = this.copyOf(member, group);
      copy.describe(member, index, group, index === this.chosen);
      copy.element.onclick = once(() => this.choose(index));
      return copy.element;
    }) : [];
    if (elements.some((element, index) => this.sheet.children[index] !== element) || elements.length !== this.sheet.children.length) {
      this.sheet.replaceChildren(...elements);
    }
    this.sheet.classList.toggle("many", members.length > 3);
    const clips = (/** @type {Member[]} */ some) => some.map((member) => member.clip).join(" ");
    const playing = `${clips(members)} of them ${clips(group ? this.inside(group) : [])}`;
    if (playing !== this.playing) [this.playing, this.startedAt] = [playing, null]; // from the start, in step
    this.root.dataset.shown = members.map((member) => member.sha).join(" ");
  }

  /** Seconds of the first clip that all the others have too; all of it where there are none. */
  overlap(/** @type {Group} */ group) {
    const [first, ...others] = this.inside(group);
    if (!first) return [0, 1];
    const seconds = (/** @type {Member} */ member) => this.copyOf(member, group).player.video.duration || member.seconds || 0;
    const begins = [0], ends = [seconds(first)];
    for (const member of others) {
      if (!member.edit) continue;
      const { offset_s: offset, speed } = member.edit;
      begins.push(-offset / speed);
      ends.push((seconds(member) - offset) / speed);
    }
    const [from, to] = [Math.max(...begins), Math.min(...ends)];
    return to - from >= 0.5 ? [from, to] : [0, Math.max(seconds(first), 0.5)];
  }

  /** Bring the clips into step. */
  step() {
    const group = this.current;
    if (!group) return;
    const copies = group.members.map((member) => this.copyOf(member, group));
    const ready = copies.every((copy) => copy.player.ready);
    this.root.dataset.ready = String(ready);
    if (!ready) return;
    if (this.startedAt === null) {
      this.span = this.overlap(group); // now that the lengths are known
      this.startedAt = performance.now();
    }
    const [from, to] = this.span;
    const now = from + (((performance.now() - this.startedAt) / 1000) % (to - from));
    const off = group.members.map(({ edit }, index) => copies[index].player.failed ? null
      : copies[index].follow(edit ? edit.speed * now + edit.offset_s : now, edit?.speed ?? 1));
    this.root.dataset.off = Math.max(...off.map((each) => each ?? 0), 0).toFixed(3);
  }

  render() {
    const group = this.current;
    const question = QUESTIONS[this.props.list ?? ""];
    const heading = group ? question ?? `${group.members.length} copies of one clip: which one stays?`
      : this.ended ? DONE : "Loading ...";
    const counted = group ? `${question ? "Pair" : "Group"} ${this.at + 1} of ${this.total}` : this.ended
      ? "plusmv dedup finds copies among new clips." : "";
    const more = group?.more ? `; ${group.more} more copies come once these are settled` : "";
    const done = group?.settled ? " · settled; z takes it back" : "";
    this.title.replaceChildren(make("h2", { textContent: heading }), make("p", { textContent: counted + more + done }));
    this.buttons.forEach((button) => (button.disabled = !group || group.settled));
    this.undoButton.disabled = !this.canUndo;
    this.showPending(this.trouble, this.numbers.digits);
  }

  // What keys and clicks do

  key(/** @type {KeyboardEvent} */ event) {
    const { key } = event;
    if (belongsToFocus(event)) return false;
    /** @type {Record<string, () => void>} */
    const acts = { Enter: () => this.settle(), n: () => this.none(), k: () => this.keep(), d: () => this.remove(),
      x: () => this.split(), z: () => this.undo(), ArrowLeft: () => this.go(-1), ArrowRight: () => this.go(1),
      Escape: () => { this.numbers.clear(); this.render(); } };
    if (/^[0-9]$/.test(key)) this.numbers.press(key, this.current?.members.length ?? 0);
    else if (acts[key]) acts[key]();
    else return false;
    return true;
  }

  choose(/** @type {number} */ index) {
    const group = this.current;
    if (!group) return;
    this.chosen = index;
    const elements = group.members.map((member) => this.copyOf(member, group).element);
    elements.forEach((element, at) => element.classList.toggle("chosen", at === index));
    elements[index].scrollIntoView({ block: "nearest" });
  }

  go(/** @type {number} */ by) {
    const at = this.at + by;
    if (at < 0 || at > this.cases.length || (at === this.cases.length && !this.ended)) return;
    this.at = at;
    this.show();
    this.fill();
  }

  // What becomes of the clips

  settle() {
    if (this.numbers.digits) return this.numbers.commit();
    if (this.tooQuick(LOOK_MS, "group")) return;
    const [first, ...rest] = this.open;
    if (!rest.length) return;
    const remove = rest.map((member) => member.clip);
    const same = this.props.list === "pairs" ? [first.clip, remove[0]] : undefined;
    this.act({ keep: first.clip, remove, same }, remove, "duplicate");
  }

  none() {
    const apart = this.open.map((member) => member.clip);
    if (apart.length) this.act({ apart }, apart.slice(1), "no copy");
  }

  split() {
    const [first] = this.open;
    const chosen = this.target;
    if (!chosen) return;
    if (chosen === first) return this.toast.show("the others are split off from the first: choose one of them");
    this.act({ apart: [first.clip, chosen.clip] }, [chosen.clip], "no copy");
  }

  remove() {
    const { current: group, target: chosen } = this;
    const stays = this.open.find((member) => member !== chosen);
    if (!group || !chosen || !stays) return;
    const first = chosen === this.open[0];
    this.act({ keep: stays.clip, remove: [chosen.clip] }, [chosen.clip], "duplicate");
    if (first && !group.settled) this.lead(group, stays);
  }

  keep() {
    const chosen = this.target;
    if (!this.current || !chosen || chosen === this.open[0]) return;
    this.act({ keep: chosen.clip, stands: true });
    this.lead(this.current, chosen);
  }

  /** The clips of the group on screen that nothing was done to. */
  get open() {
    return this.current && !this.current.settled ? this.inside(this.current) : [];
  }

  /** The chosen clip, if nothing was done to it. */
  get target() {
    const chosen = this.current?.members[this.chosen];
    return chosen && this.open.includes(chosen) ? chosen : null;
  }

  /**
   * Make another clip the first of its group: the others are compared with that one.
   * @param {Group} group
   * @param {Member} chosen
   */
  lead(group, chosen) {
    const seen = group.members.map((member) => ({
      ...member, edit: member === chosen || !chosen.edit ? null : through(chosen.edit, member.edit),
    }));
    const index = group.members.indexOf(chosen);
    group.members = [seen[index], ...seen.filter((_, at) => at !== index)];
    this.known.add(chosen.clip);
    this.chosen = 1;
    this.arrange();
  }

  /**
   * Send an action on the group on screen, and go on to the next one where that settles it.
   * @param {{ keep?: number, stands?: boolean, remove?: number[], apart?: number[], same?: number[] }} action
   * @param {number[]} clips those that it settles
   * @param {string} state what they are from now on
   */
  act(action, clips = [], state = "") {
    const group = this.current;
    if (!group) return;
    const before = { members: group.members, states: new Map(group.states), settled: group.settled };
    this.made.push({ id: this.send(action), made: { group, before } });
    clips.forEach((clip) => group.states.set(clip, state));
    group.settled = this.inside(group).length < 2;
    if (!group.settled) return this.show();
    if (group.more) {
      this.known.delete(this.nameOf(group));
      this.ended = this.again = false;
    }
    const next = this.cases.findIndex((each, at) => at > this.at && !each.settled);
    this.at = next >= 0 ? next : this.cases.length;
    this.show();
    this.fill();
  }

  bringBack(/** @type {Made} */ { group, before }) {
    const at = this.cases.indexOf(group);
    if (at < 0) return false; // of before a restart
    Object.assign(group, before);
    this.at = at;
    this.shown = null;
    this.show();
    return true;
  }
}

export default mount(Duplicates);
