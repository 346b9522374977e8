// Contradictions: a clip that stands under several actions; keys say which of them are right.

const FILMS = 3; // clips fetched and decoded: the one on screen and the next
const AHEAD = 6; // cases asked for before they are needed
const LOOK_MS = 500; // no sooner after a case appeared: that is a second press of the last Enter

class Contradictions {
  constructor(root, page) {
    Object.assign(this, { root, page, cases: [], made: [], sent: new Set(), recent: [], known: new Set(), after: null });
    Object.assign(this, { round: 0, right: new Set(), touched: false, shownAt: 0, trouble: null, ended: false });
    this.draw();
    this.films = Array.from({ length: FILMS }, () => new Film("clips", () => this.tell()));
    this.stage.prepend(...this.films.map((film) => film.video));
    this.clock = new Clock();
    this.outbox = new Outbox(page, {
      answered: (entry, answer) => {
        if (answer.state === "refused") this.toast.say(answer.reason);
        if (entry.id === this.older) this.restart();
      },
      changed: () => {
        this.fill();
        this.tell();
      },
    });
    const act = (event) => this.key(event);
    act.keys = ["Enter", ..."0123456789ausz"];
    this.unlisten = listen(act);
    this.fill();
    this.tell();
  }

  close() {
    this.unlisten();
    this.clock.close();
    this.closed = this.outbox.closed = true;
    this.films.forEach((film) => film.clear());
  }

  draw() {
    const part = (name, ...inside) => (this[name] = make("div", { className: name }, ...inside));
    const record = keyButton("Record", "Enter", "the chosen actions are right, the others wrong", () => this.record());
    record.className = "first";
    this.buttons = [record,
      keyButton("All", "a", "all of them are right", () => this.choose(() => true)),
      keyButton("None", "0", "none of them is right", () => this.choose(() => false)),
      keyButton("Unusable", "u", "broken, a still picture, nothing can be made out", () => this.answer({ unusable: true })),
      keyButton("Later", "s", "put it off to the end", () => this.later())];
    this.undoButton = keyButton("Undo", "z", "take back the last answer; again for the one before", () => this.undo());
    part("why");
    part("stage", this.why);
    part("question");
    part("choices");
    part("bar", ...this.buttons, this.undoButton);
    part("pending").role = "status";
    this.toast = makeToast();
    const side = make("div", { className: "side" }, this.question, this.choices);
    this.root.append(make("div", { className: "main" }, this.stage, this.bar, this.pending), side, this.toast);
  }

  // The cases to come

  async fill() {
    if (this.loading || this.closed || this.ended || this.outbox.earlier || this.cases.length > AHEAD) return;
    const round = this.round;
    this.loading = true;
    try {
      const told = await ask(this.page, "labeler/contradictions", { list: this.page.list, after: this.after });
      if (round !== this.round) return; // of before what was taken back
      const fresh = told.cases.filter(({ place }) => !this.known.has(place));
      fresh.forEach(({ place }) => this.known.add(place));
      this.cases.push(...fresh);
      [this.recent, this.trouble] = [told.recent, told.reading ? "the catalog is being looked through" : null];
      this.after = told.cases.at(-1)?.place ?? this.after;
      this.ended = !told.reading && !told.cases.length;
      if (told.reading) setTimeout(() => this.fill(), 1000);
    } catch (error) {
      if (round !== this.round) return;
      this.trouble = error.status ? error.message : "the server does not answer";
      setTimeout(() => this.fill(), 1000);
    }
    this.loading = false;
    if (!this.closed) this.show();
  }

  restart() {
    Object.assign(this, { cases: [], after: null, ended: false, loading: false, round: this.round + 1 });
    this.known.clear();
    this.show();
    this.fill();
  }

  // What is on screen

  get case() {
    return this.cases[0];
  }

  show() {
    const wanted = this.cases.slice(0, FILMS);
    const free = this.films.filter((film) => !wanted.some((each) => each.sha === film.card?.sha));
    for (const each of wanted) if (!this.films.some((film) => film.card?.sha === each.sha)) free.shift()?.load(each);
    if (this.case !== this.shown) {
      this.film?.video.pause();
      this.shown = this.case;
      this.film = this.films.find((film) => this.case && film.card?.sha === this.case.sha);
      this.films.forEach((film) => film.video.classList.toggle("on", film === this.film));
      this.film?.play(1);
      this.right = new Set(this.case?.choices.filter(({ verdict }) => verdict === "keep").map(({ action }) => action));
      this.touched = false;
      this.shownAt = performance.now();
      this.root.dataset.shown = this.case?.sha ?? "";
      this.clock.lap();
    }
    this.tell();
    this.fill();
  }

  tell() {
    if (!this.outbox) return;
    const told = this.film?.note || (this.film && this.film.video.readyState < 2 ? "Loading ..." : "");
    this.why.textContent = this.case ? told : "";
    this.why.classList.toggle("over", Boolean(this.film?.note) && !this.film.failed);
    const end = this.ended ? "Nothing is left here that needs a look and is not in somebody else's hands." : "Loading ...";
    const copies = this.case?.clips.length > 1 ? `One of ${this.case.clips.length} copies is shown; what you say holds for all of them. ` : "";
    const how = this.case ? `${copies}Numbers say which are right, Enter records it: the others are mis-tagged.` : "";
    this.question.replaceChildren(
      make("h2", { textContent: this.case ? "Which of these does it show?" : end }), make("p", { textContent: how }));
    this.choices.replaceChildren(...(this.case?.choices ?? []).map((choice, index) => this.choice(choice, index)));
    this.buttons.forEach((button) => (button.disabled = !this.case));
    this.undoButton.disabled = !this.made.length && !this.before;
    const trouble = this.trouble ? `Waiting: ${this.trouble}` : "";
    this.pending.textContent = this.outbox.words() || trouble;
  }

  choice(choice, index) {
    const right = this.right.has(choice.action);
    const said = choice.verdict ? ` · ${choice.verdict} so far` : "";
    const made = make("button", { className: right ? "choice chosen" : "choice", title: `right or wrong (${index + 1})` },
      make("kbd", { textContent: index + 1 }),
      make("span", {}, make("b", { textContent: `${right ? "✓ " : ""}${choice.name}` }), make("small", { textContent: choice.definition }),
        make("small", { textContent: choice.tags.map((tag) => `#${tag}`).join(" ") + said, dir: "auto" })));
    made.setAttribute("aria-pressed", String(right));
    made.addEventListener("click", once(() => this.toggle(index)));
    return made;
  }

  // What keys and clicks do

  key(event) {
    const { key } = event;
    if (["Enter", " "].includes(key) && event.composedPath()[0].matches?.("button, a")) return false; // that button's own
    const acts = { Enter: () => this.record(), a: () => this.choose(() => true), 0: () => this.choose(() => false),
      u: () => this.answer({ unusable: true }), s: () => this.later(), z: () => this.undo() };
    if (/^[1-9]$/.test(key)) this.toggle(Number(key) - 1);
    else if (acts[key]) acts[key]();
    else return false;
    return true;
  }

  toggle(index) {
    const choice = this.case?.choices[index];
    if (choice) this.choose(({ action }) => this.right.has(action) !== (action === choice.action));
  }

  choose(isRight) {
    if (!this.case) return;
    this.right = new Set(this.case.choices.filter(isRight).map(({ action }) => action));
    this.touched = true;
    this.tell();
  }

  record() {
    if (!this.case) return;
    if (performance.now() - this.shownAt < LOOK_MS) return this.toast.say("that press came too quickly: look at this clip first");
    if (!this.touched) return this.toast.say("say with the numbers which are right, or 0 for none");
    const actions = this.case.choices.map(({ action }) => action);
    this.answer({ right: actions.filter((id) => this.right.has(id)), wrong: actions.filter((id) => !this.right.has(id)) });
  }

  answer(said) {
    const [answered] = this.cases;
    if (!answered) return;
    const { clips, newest } = answered;
    const id = this.outbox.add({ to: "labeler/contradictions/answers", clips, newest, ...said, seconds: this.clock.lap() });
    this.sent.add(id);
    this.made.push({ id, answered });
    this.cases.shift();
    this.show();
  }

  later() {
    if (this.cases.length < 2) return this.toast.say("this is the only one left");
    this.cases.push(this.cases.shift());
    this.show();
  }

  // The newest answer of before this page was opened that has not been taken back.
  get before() {
    return this.recent.find((id) => !this.sent.has(id));
  }

  undo() {
    const last = this.made.pop();
    const id = last?.id ?? this.before;
    if (!id) return;
    const undo = this.outbox.add({ to: "labeler/contradictions/answers", undo: id });
    this.sent.add(id).add(undo);
    if (!last) return (this.older = undo); // its case comes once that is recorded
    this.cases.unshift(last.answered);
    this.show();
  }
}

export default mount(Contradictions);
