// @ts-check
// Contradictions: a clip that stands under several actions; keys say which of them are right.
/** @import { Case, CasesMessage, Choice, ListProps } from "./types" */

import { askForCases, CasePage } from "./case_page.js";
import { belongsToFocus, keyButton, make, makeDiv, once } from "./dom.js";
import { mount } from "./mount.js";
import { DONE } from "./queue_page.js";
import { loadAhead, VideoPlayer } from "./video_player.js";

const PLAYERS = 3; // clips fetched and decoded: the one on screen and the next
const LOOK_MS = 500;
const SETTINGS = { ahead: 6, actions: "labeler/contradictions/answers", reading: "the catalog is being looked through" };

/** @extends {CasePage<Case, Case>} */
class Contradictions extends CasePage {
  /** @type {Set<number>} */
  right = new Set();
  touched = false;
  /** @type {Case | undefined} */
  shown = undefined;
  /** @type {VideoPlayer | undefined} */
  player = undefined;

  constructor(/** @type {HTMLElement} */ root, /** @type {ListProps} */ props) {
    super(root, props, ["Enter", ..."0123456789ausz"]);
    const record = keyButton("Record", "Enter", "the chosen actions are right, the others wrong", () => this.record(), true);
    this.buttons = [record,
      keyButton("All", "a", "all of them are right", () => this.choose(() => true)),
      keyButton("None", "0", "none of them is right", () => this.choose(() => false)),
      keyButton("Unusable", "u", "broken, a still picture, nothing can be made out", () => this.answer({ unusable: true })),
      keyButton("Later", "s", "move it to the end of the queue", () => this.later())];
    this.undoButton = keyButton("Undo", "z", "take back the last answer; again for the one before", () => this.undo());
    this.why = makeDiv("why");
    this.question = makeDiv("question");
    this.choices = makeDiv("choices");
    this.players = Array.from({ length: PLAYERS }, () => new VideoPlayer("clips", () => this.render()));
    const stage = makeDiv("stage", ...this.players.map((player) => player.video), this.why);
    const bar = makeDiv("bar", ...this.buttons, this.undoButton);
    root.append(makeDiv("main", stage, bar, this.pending), makeDiv("side", this.question, this.choices), this.toast);
    this.refresh();
  }

  close() {
    super.close();
    this.players.forEach((player) => player.clear());
  }

  get settings() {
    return SETTINGS;
  }

  /** @returns {Promise<CasesMessage>} */
  request() {
    return askForCases(this.props, "labeler/contradictions", this.after);
  }

  // What is on screen

  show() {
    loadAhead(this.players, this.cases.slice(0, PLAYERS));
    if (this.current !== this.shown) this.turnTo(this.current);
    this.refresh();
  }

  turnTo(/** @type {Case | undefined} */ shown) {
    this.player?.video.pause();
    this.shown = shown;
    this.player = this.players.find((player) => shown && player.card?.sha === shown.sha);
    this.players.forEach((player) => player.video.classList.toggle("on", player === this.player));
    this.player?.play(1);
    this.right = new Set(shown?.choices.filter(({ verdict }) => verdict === "keep").map(({ action }) => action));
    this.touched = false;
    this.shownAt = performance.now();
    this.root.dataset.shown = shown?.sha ?? "";
    this.clock.lap();
  }

  render() {
    const current = this.current;
    const note = this.player?.note || (this.player && this.player.video.readyState < 2 ? "Loading ..." : "");
    this.why.textContent = current ? note : "";
    this.why.classList.toggle("over", Boolean(this.player?.note) && !this.player?.failed);
    const heading = current ? "Which of these does it show?" : this.ended ? DONE : "Loading ...";
    const copies = current && current.clips.length > 1
      ? `One of ${current.clips.length} copies is shown; your answer holds for all of them. ` : "";
    const how = current ? `${copies}Choose the right ones by number; Enter records them, and the others as mis-tagged.` : "";
    this.question.replaceChildren(make("h2", { textContent: heading }), make("p", { textContent: how }));
    this.choices.replaceChildren(...(current?.choices ?? []).map((choice, index) => this.choice(choice, index)));
    this.buttons.forEach((button) => (button.disabled = !current));
    this.undoButton.disabled = !this.canUndo;
    this.showPending(this.trouble);
  }

  choice(/** @type {Choice} */ choice, /** @type {number} */ index) {
    const right = this.right.has(choice.action);
    const soFar = choice.verdict ? ` · ${choice.verdict} so far` : "";
    const made = make("button", { className: right ? "choice chosen" : "choice", title: `right or wrong (${index + 1})` },
      make("kbd", { textContent: String(index + 1) }),
      make("span", {}, make("b", { textContent: `${right ? "✓ " : ""}${choice.name}` }), make("small", { textContent: choice.definition }),
        make("small", { textContent: choice.tags.map((tag) => `#${tag}`).join(" ") + soFar, dir: "auto" })));
    made.setAttribute("aria-pressed", String(right));
    made.addEventListener("click", once(() => this.toggle(index)));
    return made;
  }

  // What keys and clicks do

  key(/** @type {KeyboardEvent} */ event) {
    const { key } = event;
    if (belongsToFocus(event)) return false;
    /** @type {Record<string, () => void>} */
    const acts = { Enter: () => this.record(), a: () => this.choose(() => true), 0: () => this.choose(() => false),
      u: () => this.answer({ unusable: true }), s: () => this.later(), z: () => this.undo() };
    if (/^[1-9]$/.test(key)) this.toggle(Number(key) - 1);
    else if (acts[key]) acts[key]();
    else return false;
    return true;
  }

  toggle(/** @type {number} */ index) {
    const choice = this.current?.choices[index];
    if (choice) this.choose(({ action }) => this.right.has(action) !== (action === choice.action));
  }

  choose(/** @type {(choice: Choice) => boolean} */ isRight) {
    if (!this.current) return;
    this.right = new Set(this.current.choices.filter(isRight).map(({ action }) => action));
    this.touched = true;
    this.render();
  }

  record() {
    if (!this.current || this.tooQuick(LOOK_MS, "clip")) return;
    if (!this.touched) return this.toast.show("choose the right actions by number, or 0 for none");
    const actions = this.current.choices.map(({ action }) => action);
    this.answer({ right: actions.filter((id) => this.right.has(id)), wrong: actions.filter((id) => !this.right.has(id)) });
  }

  answer(/** @type {{ right?: number[], wrong?: number[], unusable?: boolean }} */ answer) {
    const [answered] = this.cases;
    if (!answered) return;
    const { clips, newest } = answered;
    this.made.push({ id: this.send({ clips, newest, ...answer }), made: answered });
    this.cases.shift();
    this.show();
  }

  later() {
    const [first, ...others] = this.cases;
    if (!others.length) return this.toast.show("this is the only one left");
    this.cases = [...others, first];
    this.show();
  }

  bringBack(/** @type {Case} */ answered) {
    this.cases.unshift(answered);
    this.show();
    return true;
  }
}

export default mount(Contradictions);
