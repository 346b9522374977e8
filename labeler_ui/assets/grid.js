// @ts-check
// Grid: many clips of one action play together; only the wrong ones are touched, Enter accepts the page.
/** @import { Card, GridProps, Props } from "./types" */

import { keyButton, make, makeDiv, once } from "./dom.js";
import { Feed, keyOf } from "./feed.js";
import { mount } from "./mount.js";
import { DONE, NumberKeys, QueuePage } from "./queue_page.js";
import { ask } from "./server.js";
import { VideoPlayer } from "./video_player.js";

/** @type {Record<string, string>} */
const MARKS = { m: "mistagged", d: "duplicate", u: "unusable", s: "later" };
const LOOK_MS = 700;

/** @typedef {string | null} Mark */

// Marks of pages that are not accepted: they outlive a reload, an undo and another choice of clips.
class Marks {
  constructor(/** @type {Props} */ props) {
    this.name = `plusmv marks ${props.workspace} ${props.annotator}`;
  }

  /** @returns {Record<string, string>} */
  get kept() {
    return JSON.parse(sessionStorage.getItem(this.name) ?? "{}");
  }

  keep(/** @type {[string, Mark][]} */ marks) {
    const changed = Object.entries({ ...this.kept, ...Object.fromEntries(marks) });
    sessionStorage.setItem(this.name, JSON.stringify(Object.fromEntries(changed.filter(([, mark]) => mark))));
  }
}

class Tile {
  /** @type {Mark} */
  mark = null;
  seen = false;

  /**
   * @param {Card} card
   * @param {() => void} changed
   */
  constructor(card, changed) {
    this.card = card;
    this.number = make("kbd");
    this.note = make("span", { className: "note", textContent: "making a preview ..." });
    this.player = new VideoPlayer("previews", () => { this.note.textContent = this.player.note; changed(); });
    this.label = make("span", { className: "label" });
    this.element = make("figure", { tabIndex: -1 }, this.player.video, this.note, this.number, this.label);
    this.player.load(card);
  }

  set(/** @type {Mark} */ mark) {
    this.mark = mark;
    this.element.dataset.mark = mark ?? "";
    this.label.textContent = mark ?? "";
  }
}

/** @typedef {{ card: Card, mark: Mark, id: string | null }} Accepted a tile as it was sent; without an id it was put off */

/** @extends {QueuePage<GridProps>} */
class Grid extends QueuePage {
  /** @type {Tile[]} */
  tiles = [];
  /** @type {Tile[]} */
  coming = [];
  /** @type {Accepted[][]} */
  accepted = []; // page by page
  marking = MARKS.m;
  /** @type {number | null} */
  from = null; // where a range of marks begins
  numbers = new NumberKeys((index) => this.tiles[index] && this.touch(index, false), () => this.render());

  constructor(/** @type {HTMLElement} */ root, /** @type {GridProps} */ props) {
    super(root, props, ["Enter", "z", "i", ...Object.keys(MARKS)]);
    this.marks = new Marks(props);
    this.accept = keyButton("Accept the page", "Enter", "what is unmarked is kept", () => this.enter(), true);
    this.markers = Object.entries(MARKS).map(([key, mark]) =>
      keyButton(`mark ${mark}`, key, `a click or a number marks a clip ${mark}`, () => this.markWith(mark)));
    this.undoButton = keyButton("Undo", "z", "bring the last page back", () => this.undo());
    const invert = keyButton("Invert", "i", "mark the unmarked and the other way round", () => this.invert());
    this.title = makeDiv("question");
    this.sheet = makeDiv("sheet");
    root.append(this.title, makeDiv("bar", this.accept, ...this.markers, invert, this.undoButton), this.pending, this.sheet, this.toast);
    this.watch = new IntersectionObserver((entries) => entries.forEach((entry) => this.look(entry)), { threshold: 0.5 });
    this.feed = new Feed(props, this.outbox, () => this.refresh());
    this.refresh();
  }

  close() {
    super.close();
    this.numbers.clear();
    this.watch.disconnect();
    this.feed.closed = true;
    [...this.tiles, ...this.coming].forEach((tile) => tile.player.clear());
  }

  look(/** @type {IntersectionObserverEntry} */ { target, isIntersecting }) {
    const tile = this.tiles.find((each) => each.element === target);
    if (tile && isIntersecting) tile.seen = true;
  }

  // What is on screen

  refresh() {
    const { size } = this.props;
    if (!this.tiles.length && this.feed.cards.length) this.turn();
    else if (this.coming.length < size && this.tiles.length) this.prepare();
    if (this.feed.cards.length < size) this.feed.fill(2 * size);
    this.render();
  }

  /** Tiles of the next page: clips of one action. */
  prepare() {
    const { cards } = this.feed;
    const action = this.coming[0]?.card.action ?? cards[0]?.action;
    while (this.coming.length < this.props.size && cards[0] && cards[0].action === action) {
      this.coming.push(new Tile(cards[0], () => this.render()));
      cards.shift();
    }
  }

  turn() {
    this.tiles.forEach((tile) => tile.player.clear());
    this.watch.disconnect();
    if (!this.coming.length) this.prepare();
    this.tiles = this.coming;
    this.coming = [];
    this.lay();
    this.prepare();
    this.feed.fill(2 * this.props.size);
  }

  lay() {
    const { kept } = this.marks;
    this.tiles.forEach((tile, index) => {
      tile.number.textContent = String(index + 1);
      tile.set(kept[keyOf(tile.card)] ?? tile.mark);
      tile.element.onclick = once((event) => this.touch(index, event.shiftKey));
      this.watch.observe(tile.element);
    });
    this.sheet.replaceChildren(...this.tiles.map((tile) => tile.element));
    this.tiles.forEach((tile) => tile.player.play(1));
    this.root.dataset.page = this.tiles.map((tile) => tile.card.sha).join(" ");
    this.shownAt = performance.now();
    this.from = null;
    this.clock.lap();
    scrollTo({ top: 0 });
    this.render();
  }

  render() {
    const [card] = this.tiles.map((tile) => tile.card);
    const marked = this.tiles.filter((tile) => tile.mark).length;
    const progress = this.feed.progress;
    const heading = card ? `Which of these are not ${card.name}?` : this.feed.ended ? DONE : "Loading ...";
    const definition = card ? this.props.actions[card.action]?.definition ?? "" : "";
    const counts = card ? `${marked} of ${this.tiles.length} marked` : "";
    const whole = card && progress ? ` · ${progress.decided} of ${progress.total} decided before this page` : "";
    this.title.replaceChildren(make("h2", { textContent: heading }), make("p", { textContent: `${definition} ${counts}${whole}` }));
    this.markers.forEach((button, index) => button.classList.toggle("chosen", Object.values(MARKS)[index] === this.marking));
    this.accept.disabled = !card;
    this.undoButton.disabled = !this.accepted.length;
    this.root.dataset.ready = this.tiles.length ? String(this.tiles.every((tile) => tile.player.ready)) : "";
    this.showPending(this.feed.trouble, this.numbers.digits);
  }

  // What keys and clicks do

  key(/** @type {KeyboardEvent} */ { key }) {
    if (/^[0-9]$/.test(key)) this.numbers.press(key, this.tiles.length);
    else if (key === "Enter") this.enter();
    else if (MARKS[key]) this.markWith(MARKS[key]);
    else if (key === "i") this.invert();
    else if (key === "z") this.undo();
    else if (key === "Escape") this.numbers.clear();
    else return false;
    this.render();
    return true;
  }

  touch(/** @type {number} */ index, /** @type {boolean} */ range) {
    const mark = this.tiles[index].mark === this.marking ? null : this.marking;
    const from = range ? this.from ?? index : index;
    const [first, last] = [Math.min(index, from), Math.max(index, from)];
    const as = from === index ? mark : this.tiles[from].mark;
    for (let at = first; at <= last; at++) this.tiles[at].set(as);
    this.from = index;
    this.remember();
  }

  markWith(/** @type {string} */ mark) {
    this.marking = mark;
    this.render();
  }

  invert() {
    this.tiles.forEach((tile) => tile.set(tile.mark ? null : this.marking));
    this.remember();
  }

  remember() {
    this.marks.keep(this.tiles.map((tile) => [keyOf(tile.card), tile.mark]));
    this.render();
  }

  enter() {
    if (!this.tiles.length) return;
    if (this.numbers.digits) return this.numbers.commit();
    const unseen = this.tiles.find((tile) => !tile.seen);
    if (unseen) return unseen.element.scrollIntoView({ block: "start", behavior: "smooth" });
    if (this.tooQuick(LOOK_MS, "page")) return;
    const seconds = Math.round((this.clock.lap() / this.tiles.length) * 1000) / 1000;
    this.accepted.push(this.tiles.map((tile) => ({ card: tile.card, mark: tile.mark, id: this.send(tile, seconds) })));
    this.marks.keep(this.tiles.map((tile) => [keyOf(tile.card), null]));
    if (this.feed.progress) this.feed.progress.decided += this.tiles.filter((tile) => tile.mark !== MARKS.s).length;
    this.turn();
  }

  /** The id of the request that decides a tile, null for one that is put off. */
  send(/** @type {Tile} */ { card, mark }, /** @type {number} */ seconds) {
    const { clip, action } = card;
    if (mark === MARKS.s) {
      this.feed.release(card);
      ask(this.props, "labeler/later", { clip, action }).catch(() => {});
      return null;
    }
    const how = mark ? "marked in grid" : "accepted in grid";
    const entry = { clip, action, verdict: mark ?? "keep", how, seconds };
    this.feed.drop(entry);
    return this.outbox.add(entry);
  }

  undo() {
    const page = this.accepted.pop();
    if (!page) return;
    const sent = page.filter(({ id }) => id);
    sent.forEach(({ id }) => this.outbox.add({ undo: id }));
    const waiting = [...this.tiles, ...this.coming];
    this.feed.cards.unshift(...waiting.map((tile) => tile.card));
    waiting.forEach((tile) => tile.player.clear());
    this.coming = [];
    this.tiles = page.map(({ card, mark }) => {
      this.feed.restore(card);
      const tile = new Tile(card, () => this.render());
      tile.set(mark);
      return tile;
    });
    if (this.feed.progress) this.feed.progress.decided -= sent.length;
    this.watch.disconnect();
    this.remember();
    this.lay();
    this.prepare();
  }
}

export default mount(Grid);
