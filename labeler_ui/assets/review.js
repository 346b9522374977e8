// Review: one clip loops, one key decides, and the next clip is there already.

const AHEAD = 24; // cards asked for, that nobody else gets meanwhile
const FEW = 16;
const FILMS = 8; // of them fetched and decoded
const VERDICTS = [
  ["keep", "Keep", "k", "the clip shows the action"],
  ["mistagged", "Mis-tagged", "m", "the action is not in it, whatever the tag says (Shift-m: and name the right one)"],
  ["duplicate", "Duplicate", "d", "another clip shows the same recording"],
  ["unusable", "Unusable", "u", "broken, a still picture, nothing can be made out (Shift-u: and say why)"],
];
const REASONS = ["broken", "a still picture", "nothing can be made out", "people who should not be in a data set"];
const SPEEDS = [1, 1.5, 2];
const OFFERED = 8; // choices shown while somebody types

const plain = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");

class Review {
  constructor(root, page) {
    Object.assign(this, { root, page, made: [], shown: null, speed: Number(localStorage.getItem("plusmv speed")) || 1 });
    this.draw();
    this.films = Array.from({ length: FILMS }, () => new Film("clips", () => this.refresh()));
    this.stage.prepend(...this.films.map((film) => film.video));
    this.clock = new Clock();
    this.undone = new Set(); // requests, that the catalog may still call the last ones
    this.outbox = new Outbox(page, {
      answered: (entry, answer) => this.answered(entry, answer),
      changed: () => this.refresh(),
    });
    this.feed = new Feed(page, this.outbox, () => this.refresh());
    const act = (event) => this.key(event);
    act.keys = "kmduszx ";
    this.unlisten = listen(act);
    this.settle();
  }

  close() {
    clearTimeout(this.soon);
    this.unlisten();
    this.clock.close();
    this.feed.closed = this.outbox.closed = true;
    this.films.forEach((film) => film.clear());
  }

  draw() {
    const part = (name, ...inside) => (this[name] = make("div", { className: name }, ...inside));
    this.buttons = VERDICTS.map(([verdict, label, key, meaning]) =>
      keyButton(label, key, meaning, () => this.decide(verdict), verdict === "keep"));
    this.buttons.push(keyButton("Later", "s", "put it off to the end", () => this.later()));
    this.undoButton = keyButton("Undo", "z", "take back the last decision; again for the one before", () => this.undo());
    this.faster = keyButton("", "x", "how fast the clip plays", () => this.nextSpeed());
    const help = keyButton("Help", "?", "what the keys do", () => this.help());
    part("why");
    part("stage", this.why);
    part("question");
    part("bar", ...this.buttons, this.undoButton, this.faster, help);
    part("pending").role = "status";
    part("facts");
    part("progress");
    part("last");
    this.toast = makeToast();
    this.box = make("dialog", { className: "box" });
    const side = make("div", { className: "side" }, this.question, this.facts, this.progress, this.last);
    const main = make("div", { className: "main" }, this.stage, this.bar, this.pending);
    this.root.append(main, side, this.toast, this.box);
  }

  // What is on screen

  get card() {
    return this.feed.cards[0];
  }

  refresh() {
    if (this.card !== this.shown) this.show(this.card);
    this.soon ??= setTimeout(() => this.settle());
  }

  show(card) {
    this.film?.pause();
    this.shown = card;
    this.film = card && (this.films.find((film) => film.card?.sha === card.sha) ?? this.fetchNow(card));
    for (const film of this.films) film.video.classList.toggle("on", film === this.film);
    this.root.dataset.shown = card?.sha ?? "";
    this.clock.lap();
    this.film?.play(this.speed);
  }

  fetchNow(card) {
    const film = this.films.find((each) => each !== this.film) ?? this.films[0];
    film.load(card);
    return film;
  }

  // What a key need not wait for: films of the clips after the next one, words, counts.
  settle() {
    this.soon = null;
    const cards = this.feed.cards;
    const wanted = cards.slice(0, FILMS);
    const free = this.films.filter((film) => !wanted.some((card) => card.sha === film.card?.sha));
    for (const card of wanted) {
      if (!this.films.some((film) => film.card?.sha === card.sha)) free.shift()?.load(card);
    }
    const film = this.film;
    this.why.textContent = !this.card ? "" : film?.note || (film?.video.readyState >= 2 ? "" : "Loading ...");
    this.why.classList.toggle("over", Boolean(film?.note) && !film.failed);
    this.buttons.forEach((button) => (button.disabled = !this.card));
    if (this.card && this.card !== this.described) this.describe(this.card);
    this.described = this.card;
    if (cards.length < FEW) this.feed.fill(AHEAD);
    this.tell();
  }

  describe(card) {
    const action = this.page.actions[card.action] ?? {};
    const pictures = (this.feed.references[card.action] ?? []).map((path) =>
      make("img", { src: address(path), alt: `what ${card.name} looks like`, loading: "lazy" }));
    this.question.replaceChildren(
      make("h2", { textContent: `Is this ${card.name}?` }),
      make("p", { textContent: action.definition ?? "" }),
      make("div", { className: "references" }, ...pictures));
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

  tell() {
    this.pending.textContent = this.outbox?.words() || (this.feed?.trouble ? `Waiting: ${this.feed.trouble}` : "");
    this.faster.firstChild.textContent = `${this.speed}x`;
    if (!this.feed) return;
    const counted = this.feed.progress;
    if (counted?.total) {
      const decided = Math.min(counted.decided + (counted.since ?? 0), counted.total);
      const left = counted.pace && decided < counted.total ? `, about ${Math.ceil(((counted.total - decided) * counted.pace) / 60)} min left` : "";
      const timing = counted.pace ? ` · ${counted.pace.toFixed(1)} s a clip${left}` : "";
      this.progress.replaceChildren(
        make("progress", { max: Math.max(counted.total, 1), value: decided }),
        make("span", { textContent: `${decided} of ${counted.total} decided${timing}` }));
    } else this.progress.textContent = counted ? "" : "counting ...";
    const rows = [...this.made].reverse().map(({ card, verdict }) => ({ card, verdict }))
      .concat(this.before()).slice(0, 6)
      .map(({ card, verdict }, index) => {
        const again = make("button", { className: "link", title: "show it again and take this back" });
        again.textContent = `${verdict} · ${card.name}`;
        again.addEventListener("click", once(() => this.undo(index)));
        return again;
      });
    this.last.replaceChildren(...(rows.length ? [make("h3", { textContent: "Last decisions" }), ...rows] : []));
    this.undoButton.disabled = !rows.length;
    if (!this.card && !this.feed.loading) this.end();
  }

  before() {
    const mine = new Set(this.made.map(({ card }) => keyOf(card)));
    return (this.feed.recent ?? []).filter((each) => !this.undone.has(each.request) && !mine.has(keyOf(each.card)));
  }

  end() {
    if (!this.feed.ended) return;
    const whole = this.feed.progress?.total
      ? "Nothing is left here that is not decided or in somebody else's hands. Choose another action, or go on with plusmv report and plusmv export."
      : "No clips yet. Next: plusmv crawl --source folder --path DIR, then reload this page.";
    this.question.replaceChildren(make("h2", { textContent: whole }));
    this.facts.replaceChildren();
  }

  // What the keys do

  key(event) {
    const key = event.key;
    if (this.box.open) return false;
    if (key === "M") return this.name(), true;
    if (key === "U") return this.say(), true;
    const verdict = VERDICTS.find(([, , letter]) => letter === key);
    const acts = { s: () => this.later(), z: () => this.undo(), x: () => this.nextSpeed(), " ": () => this.hold(),
      "?": () => this.help(), h: () => this.help() };
    if (verdict) this.decide(verdict[0]);
    else if (acts[key]) acts[key]();
    return Boolean(verdict || acts[key]);
  }

  decide(verdict, more = {}, card = this.card) {
    if (!card || card !== this.card) return;
    const { clip, action, revises, mode } = card;
    const how = mode === "audit" ? "audit" : "single";
    const entry = { clip, action, verdict, revises, how, seconds: this.clock.lap(), ...more };
    this.made.push({ card, verdict, other: entry.other, request: this.outbox.add(entry) });
    this.count(1);
    this.feed.pass(entry);
    this.refresh();
  }

  undo(index = 0) {
    const row = [...this.made].reverse()[index] ?? this.before()[index - this.made.length];
    if (!row) return;
    const revises = this.outbox.add({ undo: row.request }); // whatever stands then
    this.made = this.made.filter((each) => each !== row);
    this.undone.add(row.request);
    this.feed.hold(row.card, row.other);
    this.feed.cards.unshift({ ...row.card, revises, verdict: undefined });
    this.count(-1);
    this.refresh();
  }

  later() {
    const card = this.feed.cards.shift();
    if (!card) return;
    this.feed.giveBack(card);
    ask(this.page, "labeler/later", { clip: card.clip, action: card.action }).catch(() => {});
    this.refresh();
  }

  count(more) {
    if (this.feed.progress) this.feed.progress.since = (this.feed.progress.since ?? 0) + more;
  }

  hold() {
    const video = this.film?.video;
    if (video) video.paused ? this.film.play(this.speed) : this.film.pause();
  }

  nextSpeed() {
    this.speed = SPEEDS[(SPEEDS.indexOf(this.speed) + 1) % SPEEDS.length];
    localStorage.setItem("plusmv speed", this.speed);
    this.films.forEach((film) => (film.video.defaultPlaybackRate = film.video.playbackRate = this.speed));
    this.tell();
  }

  answered(entry, answer) {
    if (answer.state === "refused") this.toast.say(answer.reason);
  }

  // Boxes: naming the right action, saying why, help

  name() {
    const names = Object.values(this.page.actions).map((action) => action.name);
    this.type("Which action is it? Enter alone: none of these", names, (card, typed) => {
      const found = this.named(typed);
      if (typed && !found) return this.toast.say(`no action is called ${typed}`), false;
      this.decide("mistagged", found ? { other: Number(found) } : {}, card);
      return true;
    });
  }

  named(typed) {
    const all = Object.entries(this.page.actions).filter(([, action]) => plain(typed) && plain(action.name).includes(plain(typed)));
    const first = all.find(([, action]) => plain(action.name) === plain(typed))
      ?? all.find(([, action]) => plain(action.name).startsWith(plain(typed))) ?? all[0];
    return first?.[0];
  }

  say() {
    this.type("Why is it unusable?", REASONS, (card, typed) => {
      this.decide("unusable", { reason: typed }, card);
      return true;
    });
  }

  type(asked, choices, act) {
    const card = this.card;
    if (!card) return;
    const input = make("input", { autocomplete: "off", maxLength: 2000 });
    const matching = make("div", { className: "bar" });
    const form = make("form", {}, make("label", { textContent: asked }, input), matching);
    const leave = () => {
      input.blur(); // a closed dialog keeps the focus for a moment, and with it the next key
      this.box.close();
    };
    this.box.oncancel = () => input.blur();
    const offer = () => matching.replaceChildren(...choices.filter((choice) => plain(choice).includes(plain(input.value)))
      .slice(0, OFFERED).map((choice) => {
        const button = make("button", { type: "button", textContent: choice });
        button.addEventListener("click", () => { input.value = choice; form.requestSubmit(); });
        return button;
      }));
    input.addEventListener("input", offer);
    offer();
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (act(card, input.value.trim())) leave();
    });
    this.box.replaceChildren(form);
    this.box.showModal();
    input.focus();
  }

  help() {
    const rows = [...VERDICTS.map(([, label, key, meaning]) => [key, `${label}: ${meaning}`]),
      ["s", "Later: the clip comes again at the end"], ["z", "Undo: as often as there are decisions"],
      ["x", "faster: 1x, 1.5x, 2x"], ["space", "stop and play"], ["?", "this help"]];
    const list = make("dl");
    rows.forEach(([key, meaning]) => list.append(make("dt", {}, make("kbd", { textContent: key })), make("dd", { textContent: meaning })));
    const note = "Duplicate and unusable hold for the clip under every action, keep and mis-tagged for this one. What the "
      + "catalog has not acknowledged shows as pending, stays in this browser and is sent again. You decide as ";
    const close = make("button", { textContent: "Close" });
    close.addEventListener("click", () => this.box.close());
    this.box.replaceChildren(list, make("p", { textContent: `${note}${this.page.annotator}.` }), close);
    this.box.showModal();
  }
}

export default mount(Review);
