// Grid: many clips of one action play together; only the wrong ones are touched, Enter accepts the page.

const MARKS = { m: "mistagged", d: "duplicate", u: "unusable", s: "later" };
const LOOK_MS = 700; // a page is not accepted sooner after it appeared: that is a second press of the last Enter
const TYPING_MS = 700; // between the two digits of a number

// Marks of pages that are not accepted: they outlive a reload, an undo and another choice of clips.
class Marks {
  constructor(page) {
    this.name = `plusmv marks ${page.workspace} ${page.annotator}`;
  }

  get kept() {
    return JSON.parse(sessionStorage.getItem(this.name) ?? "{}");
  }

  keep(marks) {
    const changed = Object.entries({ ...this.kept, ...Object.fromEntries(marks) });
    sessionStorage.setItem(this.name, JSON.stringify(Object.fromEntries(changed.filter(([, mark]) => mark))));
  }
}

class Tile {
  constructor(card, number, changed) {
    Object.assign(this, { card, number, mark: null, seen: false });
    this.note = make("span", { className: "note", textContent: "making a preview ..." });
    this.film = new Film("previews", () => { this.note.textContent = this.film.note; changed(); });
    this.label = make("span", { className: "label" });
    this.element = make("figure", { tabIndex: -1 }, this.film.video, this.note,
      make("kbd", { textContent: number }), this.label);
    this.film.load(card);
  }

  set(mark) {
    this.mark = mark;
    this.element.dataset.mark = mark ?? "";
    this.label.textContent = mark ?? "";
  }

  get ready() {
    return this.film.failed || this.film.video.readyState >= 2;
  }
}

class Grid {
  constructor(root, page) {
    Object.assign(this, { root, page, tiles: [], coming: [], accepted: [], marking: "mistagged", digits: "", from: null });
    this.marks = new Marks(page);
    this.draw();
    this.watch = new IntersectionObserver((entries) => entries.forEach((entry) => this.look(entry)), { threshold: 0.5 });
    this.clock = new Clock();
    this.outbox = new Outbox(page, {
      answered: (entry, answer) => answer.state === "refused" && this.toast.say(answer.reason),
      changed: () => this.refresh(),
    });
    this.feed = new Feed(page, this.outbox, () => this.refresh());
    const act = (event) => this.key(event);
    act.keys = ["Enter", "z", "i", ...Object.keys(MARKS)];
    this.unlisten = listen(act);
    this.refresh();
  }

  close() {
    this.unlisten();
    this.clock.close();
    this.watch.disconnect();
    this.feed.closed = this.outbox.closed = true;
    [...this.tiles, ...this.coming].forEach((tile) => tile.film.clear());
  }

  draw() {
    this.accept = keyButton("Accept the page", "Enter", "what is unmarked is kept", () => this.enter());
    this.accept.className = "first";
    this.markers = Object.entries(MARKS).map(([key, mark]) =>
      keyButton(`mark ${mark}`, key, `a click or a number marks a clip ${mark}`, () => this.markWith(mark)));
    this.undoButton = keyButton("Undo", "z", "bring the last page back", () => this.undo());
    const invert = keyButton("Invert", "i", "mark the unmarked and the other way round", () => this.invert());
    this.title = make("div", { className: "question" });
    this.sheet = make("div", { className: "sheet" });
    this.bar = make("div", { className: "bar" }, this.accept, ...this.markers, invert, this.undoButton);
    this.pending = make("div", { className: "pending", role: "status" });
    this.toast = makeToast();
    this.root.append(this.title, this.bar, this.pending, this.sheet, this.toast);
  }

  look({ target, isIntersecting }) {
    const tile = this.tiles.find((each) => each.element === target);
    if (tile && isIntersecting) tile.seen = true;
  }

  // What is on screen

  refresh() {
    if (!this.tiles.length && this.feed.cards.length) this.turn();
    else if (this.coming.length < this.page.size && this.tiles.length) this.prepare();
    if (this.feed.cards.length < this.page.size) this.feed.fill(2 * this.page.size);
    this.tell();
  }

  prepare() {
    const action = (this.coming[0] ?? this.feed.cards[0])?.card?.action ?? this.feed.cards[0]?.action;
    while (this.coming.length < this.page.size && this.feed.cards.length && this.feed.cards[0].action === action) {
      this.coming.push(new Tile(this.feed.cards.shift(), 0, () => this.tell()));
    }
  }

  turn() {
    this.tiles.forEach((tile) => tile.film.clear());
    this.watch.disconnect();
    if (!this.coming.length) this.prepare();
    this.tiles = this.coming;
    this.coming = [];
    this.lay();
    this.prepare();
    this.feed.fill(2 * this.page.size);
  }

  lay() {
    const { kept } = this.marks;
    this.tiles.forEach((tile, index) => {
      tile.number = index + 1;
      tile.element.querySelector("kbd").textContent = index + 1;
      tile.set(kept[keyOf(tile.card)] ?? tile.mark);
      tile.element.onclick = once((event) => this.touch(index, event.shiftKey));
      this.watch.observe(tile.element);
    });
    this.sheet.replaceChildren(...this.tiles.map((tile) => tile.element));
    this.tiles.forEach((tile) => tile.film.play(1));
    this.root.dataset.page = this.tiles.map((tile) => tile.card.sha).join(" ");
    this.shownAt = performance.now();
    this.from = null;
    this.clock.lap();
    scrollTo({ top: 0 });
    this.tell();
  }

  tell() {
    if (!this.outbox || !this.feed) return;
    const [card] = this.tiles.map((tile) => tile.card);
    const action = card && this.page.actions[card.action];
    const marked = this.tiles.filter((tile) => tile.mark).length;
    const counted = this.feed.progress;
    const heading = card ? `Which of these are not ${card.name}?` : this.feed.ended ? "Nothing is left here that is not decided or in somebody else's hands." : "Loading ...";
    const counts = card ? `${marked} of ${this.tiles.length} marked` : "";
    const whole = card && counted ? ` · ${counted.decided} of ${counted.total} decided before this page` : "";
    this.title.replaceChildren(make("h2", { textContent: heading }), make("p", { textContent: `${action?.definition ?? ""} ${counts}${whole}` }));
    this.markers.forEach((button, index) => button.classList.toggle("chosen", Object.values(MARKS)[index] === this.marking));
    this.accept.disabled = !card;
    this.undoButton.disabled = !this.accepted.length;
    this.root.dataset.ready = this.tiles.length ? String(this.tiles.every((tile) => tile.ready)) : "";
    const trouble = this.feed.trouble ? `Waiting: ${this.feed.trouble}` : "";
    this.pending.textContent = this.digits ? `number ${this.digits}` : this.outbox.words() || trouble;
  }

  // What keys and clicks do

  key(event) {
    const { key } = event;
    if (/^[0-9]$/.test(key)) this.digit(key);
    else if (key === "Enter") this.enter();
    else if (MARKS[key]) this.markWith(MARKS[key]);
    else if (key === "i") this.invert();
    else if (key === "z") this.undo();
    else if (key === "Escape") this.digits = "";
    else return false;
    return true;
  }

  digit(key) {
    clearTimeout(this.waiting);
    this.digits += key;
    const open = Number(this.digits) * 10 <= this.tiles.length && this.digits !== "0"; // another digit may follow
    if (open) this.waiting = setTimeout(() => this.number(), TYPING_MS);
    else this.number();
    this.tell();
  }

  number() {
    clearTimeout(this.waiting);
    const index = Number(this.digits) - 1;
    this.digits = "";
    if (this.tiles[index]) this.touch(index, false);
    this.tell();
  }

  touch(index, range) {
    const mark = this.tiles[index].mark === this.marking ? null : this.marking;
    const from = range ? this.from ?? index : index;
    const [first, last] = [Math.min(index, from), Math.max(index, from)];
    const as = from === index ? mark : this.tiles[from].mark;
    for (let at = first; at <= last; at++) this.tiles[at].set(as);
    this.from = index;
    this.remember();
  }

  markWith(mark) {
    this.marking = mark;
    this.tell();
  }

  invert() {
    this.tiles.forEach((tile) => tile.set(tile.mark ? null : this.marking));
    this.remember();
  }

  remember() {
    this.marks.keep(this.tiles.map((tile) => [keyOf(tile.card), tile.mark]));
    this.tell();
  }

  enter() {
    if (!this.tiles.length) return;
    if (this.digits) return this.number();
    const unseen = this.tiles.find((tile) => !tile.seen);
    if (unseen) return unseen.element.scrollIntoView({ block: "start", behavior: "smooth" });
    if (performance.now() - this.shownAt < LOOK_MS) return this.toast.say("that press came too quickly: look at this page first");
    const seconds = Math.round((this.clock.lap() / this.tiles.length) * 1000) / 1000;
    this.accepted.push(this.tiles.map((tile) => ({ card: tile.card, mark: tile.mark, id: this.send(tile, seconds) })));
    this.marks.keep(this.tiles.map((tile) => [keyOf(tile.card), null]));
    if (this.feed.progress) this.feed.progress.decided += this.tiles.filter((tile) => tile.mark !== "later").length;
    this.turn();
  }

  send(tile, seconds) {
    const { clip, action } = tile.card;
    if (tile.mark === "later") {
      this.feed.giveBack(tile.card);
      ask(this.page, "labeler/later", { clip, action }).catch(() => {});
      return null;
    }
    const how = tile.mark ? "marked in grid" : "accepted in grid";
    const entry = { clip, action, verdict: tile.mark ?? "keep", how, seconds };
    this.feed.pass(entry);
    return this.outbox.add(entry);
  }

  undo() {
    const page = this.accepted.pop();
    if (!page) return;
    page.filter(({ id }) => id).forEach(({ id }) => this.outbox.add({ undo: id }));
    const waiting = [...this.tiles, ...this.coming];
    this.feed.cards.unshift(...waiting.map((tile) => tile.card));
    waiting.forEach((tile) => tile.film.clear());
    this.coming = [];
    this.tiles = page.map(({ card, mark }, index) => {
      this.feed.hold(card);
      const tile = new Tile(card, index + 1, () => this.tell());
      tile.set(mark);
      return tile;
    });
    if (this.feed.progress) this.feed.progress.decided -= page.filter(({ id }) => id).length;
    this.watch.disconnect();
    this.remember();
    this.lay();
    this.prepare();
  }
}

export default mount(Grid);
