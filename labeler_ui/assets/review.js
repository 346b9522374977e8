// @ts-check
// Review: one clip loops, one key decides, and the next clip is there already.
/** @import { Card, Counts, RecentDecision, ReviewProps } from "./types" */

import { Dialog, plain } from "./dialog.js";
import { address, keyButton, make, makeDiv, once } from "./dom.js";
import { Feed, keyOf } from "./feed.js";
import { mount } from "./mount.js";
import { DONE, QueuePage } from "./queue_page.js";
import { ask } from "./server.js";
import { loadAhead, VideoPlayer } from "./video_player.js";

const AHEAD = 24; // cards asked for, that nobody else gets meanwhile
const FEW = 16;
const PLAYERS = 8; // clips fetched and decoded
const VERDICTS = [
  { verdict: "keep", label: "Keep", key: "k", meaning: "the clip shows the action" },
  { verdict: "mistagged", label: "Mis-tagged", key: "m",
    meaning: "the action is not in it, whatever the tag says (Shift-m: and name the right one)" },
  { verdict: "duplicate", label: "Duplicate", key: "d", meaning: "another clip shows the same recording" },
  { verdict: "unusable", label: "Unusable", key: "u",
    meaning: "broken, a still picture, nothing can be made out (Shift-u: and say why)" },
];
const REASONS = ["broken", "a still picture", "nothing can be made out", "people who should not be in a data set"];
const SPEEDS = [1, 1.5, 2];
const SPEED = "plusmv speed"; // where the browser keeps it
const NEXT = " Choose another action, or go on with plusmv report and plusmv export.";
const NO_CLIPS = "No clips yet. Next: plusmv crawl --source folder --path DIR, then reload this page.";

/** @typedef {RecentDecision & { other?: number }} Made a decision; `other`: the action that was named as the right one */

/** @extends {QueuePage<ReviewProps>} */
class Review extends QueuePage {
  /** @type {Made[]} */
  made = [];
  /** @type {Set<number | string>} */
  undone = new Set(); // requests, that the catalog may still call the last ones
  /** @type {Card | null | undefined} */
  shown = null;
  /** @type {Card | undefined} */
  described = undefined;
  /** @type {VideoPlayer | undefined} */
  player = undefined;
  /** @type {number | null} */
  soon = null; // the timer of settle()
  speed = Number(localStorage.getItem(SPEED)) || 1;
  dialog = new Dialog();

  constructor(/** @type {HTMLElement} */ root, /** @type {ReviewProps} */ props) {
    super(root, props, [..."kmduszx "]);
    this.buttons = VERDICTS.map(({ verdict, label, key, meaning }) =>
      keyButton(label, key, meaning, () => this.decide(verdict), verdict === "keep"));
    this.buttons.push(keyButton("Later", "s", "move it to the end of the queue", () => this.later()));
    this.undoButton = keyButton("Undo", "z", "take back the last decision; again for the one before", () => this.undo());
    this.faster = keyButton("", "x", "how fast the clip plays", () => this.nextSpeed());
    const help = keyButton("Help", "?", "what the keys do", () => this.help());
    this.why = makeDiv("why");
    this.question = makeDiv("question");
    this.facts = makeDiv("facts");
    this.progress = makeDiv("progress");
    this.last = makeDiv("last");
    this.players = Array.from({ length: PLAYERS }, () => new VideoPlayer("clips", () => this.refresh()));
    const stage = makeDiv("stage", ...this.players.map((player) => player.video), this.why);
    const bar = makeDiv("bar", ...this.buttons, this.undoButton, this.faster, help);
    const side = makeDiv("side", this.question, this.facts, this.progress, this.last);
    root.append(makeDiv("main", stage, bar, this.pending), side, this.toast, this.dialog.element);
    this.feed = new Feed(props, this.outbox, () => this.refresh());
    this.settle();
  }

  close() {
    super.close();
    clearTimeout(this.soon ?? undefined);
    this.feed.closed = true;
    this.players.forEach((player) => player.clear());
  }

  // What is on screen

  get card() {
    return /** @type {Card | undefined} */ (this.feed.cards[0]);
  }

  refresh() {
    if (this.card !== this.shown) this.show(this.card);
    this.soon ??= setTimeout(() => this.settle());
  }

  show(/** @type {Card | undefined} */ card) {
    this.player?.pause();
    this.shown = card;
    this.player = card && (this.players.find((player) => player.card?.sha === card.sha) ?? this.fetchNow(card));
    for (const player of this.players) player.video.classList.toggle("on", player === this.player);
    this.root.dataset.shown = card?.sha ?? "";
    this.clock.lap();
    this.player?.play(this.speed);
  }

  fetchNow(/** @type {Card} */ card) {
    const player = this.players.find((each) => each !== this.player) ?? this.players[0];
    player.load(card);
    return player;
  }

  /** What a key need not wait for: clips after the next one, words, counts. */
  settle() {
    this.soon = null;
    const { card, player } = this;
    loadAhead(this.players, this.feed.cards.slice(0, PLAYERS));
    const loading = player && player.video.readyState >= 2 ? "" : "Loading ...";
    this.why.textContent = card ? player?.note || loading : "";
    this.why.classList.toggle("over", Boolean(player?.note) && !player?.failed);
    this.buttons.forEach((button) => (button.disabled = !card));
    if (card && card !== this.described) this.describe(card);
    this.described = card;
    if (this.feed.cards.length < FEW) this.feed.fill(AHEAD);
    this.render();
  }

  describe(/** @type {Card} */ card) {
    const pictures = (this.feed.references[card.action] ?? []).map((path) =>
      make("img", { src: address(path), alt: `what ${card.name} looks like`, loading: "lazy" }));
    this.question.replaceChildren(
      make("h2", { textContent: `Is this ${card.name}?` }),
      make("p", { textContent: this.props.actions[card.action]?.definition ?? "" }),
      makeDiv("references", ...pictures));
    const rows = {
      Verdict: card.verdict && `${card.verdict} so far; a key decides anew`,
      Tag: card.tags.map((tag) => `#${tag}`).join(" "),
      Caption: card.caption,
      Source: card.origin + (card.posts > 1 ? ` and ${card.posts - 1} more` : ""),
      Length: card.seconds ? `${card.seconds.toFixed(1)} s` : "",
      Suspicion: card.suspicion == null ? "" : card.suspicion.toFixed(2),
    };
    const list = make("dl");
    for (const [name, value] of Object.entries(rows)) {
      if (value) list.append(make("dt", { textContent: name }), make("dd", { textContent: value, dir: "auto" }));
    }
    this.facts.replaceChildren(list);
  }

  render() {
    this.showPending(this.feed.trouble);
    this.faster.firstElementChild?.replaceChildren(`${this.speed}x`);
    if (this.feed.progress?.total) this.showProgress(this.feed.progress);
    else this.progress.textContent = this.feed.progress ? "" : "counting ...";
    const rows = this.decisions.slice(0, 6).map(({ card, verdict }, index) => {
      const again = make("button", { className: "link", title: "show it again and take this back", textContent: `${verdict} · ${card.name}` });
      again.addEventListener("click", once(() => this.undo(index)));
      return again;
    });
    this.last.replaceChildren(...(rows.length ? [make("h3", { textContent: "Last decisions" }), ...rows] : []));
    this.undoButton.disabled = !rows.length;
    if (!this.card && !this.feed.loading && this.feed.ended) this.showEnd();
  }

  showProgress(/** @type {Counts} */ { decided, since = 0, total, pace }) {
    const now = Math.min(decided + since, total);
    const left = pace && now < total ? `, about ${Math.ceil(((total - now) * pace) / 60)} min left` : "";
    const timing = pace ? ` · ${pace.toFixed(1)} s a clip${left}` : "";
    this.progress.replaceChildren(
      make("progress", { max: Math.max(total, 1), value: now }), make("span", { textContent: `${now} of ${total} decided${timing}` }));
  }

  showEnd() {
    const heading = this.feed.progress?.total ? DONE + NEXT : NO_CLIPS;
    this.question.replaceChildren(make("h2", { textContent: heading }));
    this.facts.replaceChildren();
  }

  /** What can be taken back, newest first: decisions of this page, then those of before it was opened. */
  get decisions() {
    const mine = new Set(this.made.map(({ card }) => keyOf(card)));
    const before = this.feed.recent.filter((each) => !this.undone.has(each.request) && !mine.has(keyOf(each.card)));
    return /** @type {Made[]} */ ([...this.made].reverse().concat(before));
  }

  // What the keys do

  key(/** @type {KeyboardEvent} */ { key }) {
    if (this.dialog.isOpen) return false;
    /** @type {Record<string, () => void>} */
    const acts = { M: () => this.nameAction(), U: () => this.giveReason(), s: () => this.later(), z: () => this.undo(),
      x: () => this.nextSpeed(), " ": () => this.pauseOrPlay(), "?": () => this.help(), h: () => this.help() };
    const verdict = VERDICTS.find((each) => each.key === key);
    if (verdict) this.decide(verdict.verdict);
    else if (acts[key]) acts[key]();
    else return false;
    return true;
  }

  /**
   * @param {string} verdict
   * @param {{ other?: number, reason?: string }} [more]
   * @param {Card} [card] the one that a dialog asked about
   */
  decide(verdict, more = {}, card = this.card) {
    if (!card || card !== this.card) return;
    const { clip, action, revises, mode } = card;
    const how = mode === "audit" ? "audit" : "single";
    const entry = { clip, action, verdict, revises, how, seconds: this.clock.lap(), ...more };
    this.made.push({ card, verdict, other: entry.other, request: this.outbox.add(entry) });
    this.count(1);
    this.feed.drop(entry);
    this.refresh();
  }

  undo(index = 0) {
    const row = this.decisions[index];
    if (!row) return;
    const revises = this.outbox.add({ undo: row.request }); // whatever stands then
    this.made = this.made.filter((each) => each !== row);
    this.undone.add(row.request);
    this.feed.restore(row.card, row.other);
    this.feed.cards.unshift({ ...row.card, revises, verdict: undefined });
    this.count(-1);
    this.refresh();
  }

  later() {
    const card = this.feed.cards.shift();
    if (!card) return;
    this.feed.release(card);
    ask(this.props, "labeler/later", { clip: card.clip, action: card.action }).catch(() => {});
    this.refresh();
  }

  count(/** @type {number} */ more) {
    const { progress } = this.feed;
    if (progress) progress.since = (progress.since ?? 0) + more;
  }

  pauseOrPlay() {
    if (this.player?.video.paused) this.player.play(this.speed);
    else this.player?.pause();
  }

  nextSpeed() {
    this.speed = SPEEDS[(SPEEDS.indexOf(this.speed) + 1) % SPEEDS.length];
    localStorage.setItem(SPEED, String(this.speed));
    this.players.forEach(({ video }) => (video.defaultPlaybackRate = video.playbackRate = this.speed));
    this.render();
  }

  // Dialogs: naming the right action, giving a reason, help

  nameAction() {
    const { card } = this;
    const names = Object.values(this.props.actions).map((action) => action.name);
    if (card) this.dialog.ask("Which action is it? Enter alone: none of these", names, (typed) => {
      const found = this.actionCalled(typed);
      if (typed && !found) this.toast.show(`no action is called ${typed}`);
      else this.decide("mistagged", found ? { other: Number(found) } : {}, card);
      return Boolean(!typed || found);
    });
  }

  /** The id of the action that a name means: by the whole, the beginning or any part of it. */
  actionCalled(/** @type {string} */ typed) {
    const wanted = plain(typed);
    const all = Object.entries(this.props.actions).filter(([, { name }]) => wanted && plain(name).includes(wanted));
    const first = all.find(([, { name }]) => plain(name) === wanted)
      ?? all.find(([, { name }]) => plain(name).startsWith(wanted)) ?? all[0];
    return first?.[0];
  }

  giveReason() {
    const { card } = this;
    if (card) this.dialog.ask("Why is it unusable?", REASONS, (reason) => {
      this.decide("unusable", { reason }, card);
      return true;
    });
  }

  help() {
    const note = "Duplicate and unusable hold for the clip under every action, keep and mis-tagged for this one. What the "
      + "catalog has not acknowledged shows as pending, stays in this browser and is sent again. Signed in as ";
    this.dialog.help([
      ...VERDICTS.map(({ label, key, meaning }) => /** @type {[string, string]} */ ([key, `${label}: ${meaning}`])),
      ["s", "Later: the clip comes again at the end"], ["z", "Undo: as often as there are decisions"],
      ["x", "faster: 1x, 1.5x, 2x"], ["space", "stop and play"], ["?", "this help"],
    ], `${note}${this.props.annotator}.`);
  }
}

export default mount(Review);
