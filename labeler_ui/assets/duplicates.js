// Duplicates: the clips of one group side by side, in step with the one that stays; keys say what becomes of each.

const AHEAD = 3; // groups asked for before they are needed
const LOOK_MS = 500; // no sooner after a group appeared: that is a second press of the last Enter
const TYPING_MS = 700; // between the two digits of a number
const LARGE = 6; // clips at most that are shown in full size; more of them as small copies
const STEP_MS = 100; // how often the clips are brought into step

class Duplicates {
  constructor(root, page) {
    Object.assign(this, { root, page, groups: [], at: 0, copies: new Map(), made: [], sent: new Set(), recent: [] });
    Object.assign(this, { round: 0, known: new Set(), after: null, total: 0, digits: "", chosen: 1, shownAt: 0, trouble: null });
    this.draw();
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
    act.keys = ["Enter", "z", "n", "x", "k", "d", "ArrowLeft", "ArrowRight"];
    this.unlisten = listen(act);
    this.stepping = setInterval(() => this.step(), STEP_MS);
    this.fill();
    this.tell();
  }

  close() {
    this.unlisten();
    this.clock.close();
    clearInterval(this.stepping);
    clearTimeout(this.waiting);
    this.closed = this.outbox.closed = true;
    this.copies.forEach((copy) => copy.film.clear());
  }

  draw() {
    const settle = keyButton("Keep 1, remove the rest", "Enter", "the first stays, the others are duplicates", () => this.settle());
    settle.className = "first";
    this.actions = [settle,
      keyButton("None is a copy", "n", "these are different clips: never shown together again", () => this.none()),
      keyButton("Keep", "k", "the chosen clip is to stay: it becomes the first", () => this.keep()),
      keyButton("Remove", "d", "the chosen clip alone is a duplicate", () => this.remove()),
      keyButton("Split off", "x", "the chosen clip is no copy of the first", () => this.split())];
    this.undoButton = keyButton("Undo", "z", "take back the last thing you did; again for the one before", () => this.undo());
    this.title = make("div", { className: "question" });
    this.bar = make("div", { className: "bar" }, ...this.actions, this.undoButton,
      keyButton("", "←", "the group before", () => this.go(-1)), keyButton("", "→", "the next group", () => this.go(1)));
    this.pending = make("div", { className: "pending", role: "status" });
    this.sheet = make("div", { className: "copies" });
    this.toast = makeToast();
    this.root.append(this.title, this.bar, this.pending, this.sheet, this.toast);
  }

  // The groups to come

  async fill() {
    if (this.loading || this.closed || this.ended || this.outbox.earlier || this.groups.length - this.at > AHEAD) return;
    const round = this.round;
    this.loading = true;
    try {
      const told = await ask(this.page, "labeler/groups", { list: this.page.list, after: this.after, fresh: !this.groups.length });
      if (round !== this.round) return; // of before what was taken back
      const fresh = told.groups.filter(({ members }) => !this.known.has(members[0].clip));
      fresh.forEach(({ members }) => this.known.add(members[0].clip));
      this.groups.push(...fresh.map((group) => ({ ...group, states: new Map(), settled: false })));
      [this.total, this.recent, this.trouble] = [told.total, told.recent, told.reading ? "the groups are being read" : null];
      if (told.reading) setTimeout(() => this.fill(), 1000);
      else {
        this.ended = !told.groups.length && (!this.after || this.again); // once more from the start: for what came meanwhile
        this.again = !told.groups.length;
        this.after = told.groups.at(-1)?.place ?? null;
        if (!fresh.length && !this.ended) setTimeout(() => this.fill(), 0);
      }
    } catch (error) {
      if (round !== this.round) return;
      this.trouble = error.status ? error.message : "the server does not answer";
      setTimeout(() => this.fill(), 1000);
    }
    this.loading = false;
    if (!this.closed) this.show();
  }

  restart() {
    Object.assign(this, { groups: [], at: 0, after: null, ended: false, again: false, loading: false, round: this.round + 1 });
    this.known.clear();
    this.show();
    this.fill();
  }

  // What is on screen

  get group() {
    return this.groups[this.at];
  }

  inside(group = this.group) {
    return group.members.filter((member) => !member.out && !group.states.has(member.clip));
  }

  show() {
    const near = [this.group, this.groups[this.at + 1]].filter(Boolean);
    const wanted = new Set(near.flatMap((group) => group.members.map((member) => member.clip)));
    for (const [clip, copy] of this.copies) if (!wanted.has(clip)) { copy.film.clear(); this.copies.delete(clip); }
    near.forEach((group) => group.members.forEach((member) => this.copies.has(member.clip)
      || this.copies.set(member.clip, new Copy(member, group.members.length > LARGE ? "previews" : "clips", () => this.tell()))));
    if (this.group !== this.shown) {
      this.shown = this.group;
      this.chosen = 1;
      this.shownAt = performance.now();
      this.clock.lap();
      scrollTo({ top: 0 });
    }
    this.arrange();
    this.tell();
  }

  arrange() {
    const members = this.group?.members ?? [];
    const inside = this.group ? this.inside() : [];
    members.forEach((member, index) => {
      const copy = this.copies.get(member.clip);
      copy.describe(member, index, this.group, index === this.chosen);
      copy.element.onclick = once(() => this.choose(index));
    });
    const elements = members.map((member) => this.copies.get(member.clip).element);
    if (elements.some((element, index) => this.sheet.children[index] !== element) || elements.length !== this.sheet.children.length) {
      this.sheet.replaceChildren(...elements);
    }
    this.sheet.classList.toggle("many", members.length > 3);
    const playing = [...members, "of them", ...inside].map((member) => member.clip).join(" ");
    if (playing !== this.playing) [this.playing, this.startedAt] = [playing, null]; // from the start, in step
    this.root.dataset.shown = members.map((member) => member.sha).join(" ");
  }

  // Seconds of the first clip that all the others have too; all of it where there are none.
  overlap(inside) {
    const [first, ...others] = inside;
    if (!first) return null;
    const seconds = (member) => this.copies.get(member.clip).film.video.duration || member.seconds || 0;
    const edits = others.filter((member) => member.edit);
    const from = Math.max(0, ...edits.map(({ edit }) => -edit.offset_s / edit.speed));
    const to = Math.min(seconds(first), ...edits.map((member) => (seconds(member) - member.edit.offset_s) / member.edit.speed));
    return to - from >= 0.5 ? [from, to] : [0, Math.max(seconds(first), 0.5)];
  }

  step() {
    if (!this.group) return;
    const members = this.group.members;
    const copies = members.map((member) => this.copies.get(member.clip));
    const ready = copies.every((copy) => copy.ready);
    this.root.dataset.ready = String(ready);
    if (!ready) return;
    if (this.startedAt === null) {
      this.span = this.overlap(this.inside()); // now that the lengths are known
      this.startedAt = performance.now();
    }
    const [from, to] = this.span ?? [0, 1];
    const now = from + (((performance.now() - this.startedAt) / 1000) % (to - from));
    const off = members.map(({ edit }, index) => copies[index].film.failed ? null
      : copies[index].follow(edit ? edit.speed * now + edit.offset_s : now, edit?.speed ?? 1));
    this.root.dataset.off = Math.max(...off.filter((each) => each !== null), 0).toFixed(3);
  }

  tell() {
    if (!this.outbox) return;
    const group = this.group;
    const pairs = this.page.list === "pairs";
    const heading = group ? (pairs ? "Are these two copies of each other?" : `${group.members.length} copies of one clip: which one stays?`)
      : this.ended ? "Nothing is left here that is not settled or in somebody else's hands." : "Loading ...";
    const counted = group ? `${pairs ? "Pair" : "Group"} ${this.at + 1} of ${this.total}` : this.ended
      ? "plusmv dedup finds copies among new clips." : "";
    const more = group?.more ? `; ${group.more} more copies come once these are settled` : "";
    const done = group?.settled ? " · settled; z takes it back" : "";
    this.title.replaceChildren(make("h2", { textContent: heading }), make("p", { textContent: counted + more + done }));
    this.actions.forEach((button) => (button.disabled = !group || group.settled));
    this.undoButton.disabled = !this.made.length && !this.before;
    const trouble = this.trouble ? `Waiting: ${this.trouble}` : "";
    this.pending.textContent = this.digits ? `number ${this.digits}` : this.outbox.words() || trouble;
  }

  // What keys and clicks do

  key(event) {
    const { key } = event;
    if (["Enter", " "].includes(key) && event.composedPath()[0].matches?.("button, a")) return false; // that button's own
    const acts = { Enter: () => this.settle(), n: () => this.none(), k: () => this.keep(), d: () => this.remove(),
      x: () => this.split(), z: () => this.undo(), ArrowLeft: () => this.go(-1), ArrowRight: () => this.go(1),
      Escape: () => { this.digits = ""; this.tell(); } };
    if (/^[0-9]$/.test(key)) this.digit(key);
    else if (acts[key]) acts[key]();
    else return false;
    return true;
  }

  digit(key) {
    clearTimeout(this.waiting);
    this.digits += key;
    const open = Number(this.digits) * 10 <= (this.group?.members.length ?? 0) && this.digits !== "0"; // another may follow
    if (open) this.waiting = setTimeout(() => this.number(), TYPING_MS);
    else this.number();
    this.tell();
  }

  number() {
    clearTimeout(this.waiting);
    const index = Number(this.digits) - 1;
    this.digits = "";
    if (this.group?.members[index]) this.choose(index);
    this.tell();
  }

  choose(index) {
    this.chosen = index;
    this.group.members.forEach((member, at) => this.copies.get(member.clip).element.classList.toggle("chosen", at === index));
    this.copies.get(this.group.members[index].clip).element.scrollIntoView({ block: "nearest" });
  }

  go(by) {
    const at = this.at + by;
    if (at < 0 || at > this.groups.length || (at === this.groups.length && !this.ended)) return;
    this.at = at;
    this.show();
    this.fill();
  }

  // What becomes of the clips

  settle() {
    if (this.digits) return this.number();
    if (performance.now() - this.shownAt < LOOK_MS) return this.toast.say("that press came too quickly: look at this group first");
    const [first, ...rest] = this.open ?? [];
    if (!rest.length) return;
    const remove = rest.map((member) => member.clip);
    const same = this.page.list === "pairs" ? [first.clip, remove[0]] : undefined;
    this.act({ keep: first.clip, remove, same }, (states) => remove.forEach((clip) => states.set(clip, "duplicate")));
  }

  none() {
    const apart = this.open?.map((member) => member.clip);
    if (apart) this.act({ apart }, (states) => apart.slice(1).forEach((clip) => states.set(clip, "no copy")));
  }

  split() {
    const [first] = this.open ?? [];
    const chosen = this.target();
    if (!chosen) return;
    if (chosen === first) return this.toast.say("the others are split off from the first: choose one of them");
    this.act({ apart: [first.clip, chosen.clip] }, (states) => states.set(chosen.clip, "no copy"));
  }

  remove() {
    const chosen = this.target();
    const stays = this.open?.find((member) => member !== chosen);
    if (!chosen || !stays) return;
    const first = chosen === this.open[0];
    this.act({ keep: stays.clip, remove: [chosen.clip] }, (states) => states.set(chosen.clip, "duplicate"));
    if (first && !this.shown.settled) this.lead(stays);
  }

  keep() {
    const chosen = this.target();
    if (!chosen || chosen === this.open[0]) return;
    this.act({ keep: chosen.clip, stands: true }, () => {});
    this.lead(chosen);
  }

  // The clips of the group on screen of which nothing has been said.
  get open() {
    return this.group && !this.group.settled ? this.inside() : null;
  }

  target() {
    const chosen = this.group?.members[this.chosen];
    return this.open?.includes(chosen) ? chosen : null;
  }

  // Another clip is the first of its group: the others are compared with that one.
  lead(chosen) {
    const group = this.group;
    const edits = group.members.map((member) => member === chosen || !chosen.edit ? null : through(chosen.edit, member.edit));
    const members = group.members.map((member, index) => ({ ...member, edit: edits[index] }));
    const index = group.members.indexOf(chosen);
    group.members = [members[index], ...members.filter((member, at) => at !== index)];
    this.known.add(chosen.clip);
    this.chosen = 1;
    this.arrange();
  }

  // The newest request of before this page was opened that has not been taken back.
  get before() {
    return this.recent.find((id) => !this.sent.has(id));
  }

  act(entry, change) {
    const group = this.group;
    const before = { members: group.members, states: new Map(group.states), settled: group.settled };
    const id = this.outbox.add({ to: "labeler/groups/acts", ...entry, seconds: this.clock.lap() });
    this.sent.add(id);
    this.made.push({ id, group, before });
    change(group.states);
    group.settled = this.inside(group).length < 2;
    if (!group.settled) return this.show();
    if (group.more) this.known.delete(group.members[0].clip), Object.assign(this, { ended: false, again: false });
    const next = this.groups.findIndex((each, at) => at > this.at && !each.settled);
    this.at = next >= 0 ? next : this.groups.length;
    this.show();
    this.fill();
  }

  undo() {
    const last = this.made.pop();
    const id = last?.id ?? this.before;
    if (!id) return;
    const undo = this.outbox.add({ to: "labeler/groups/acts", undo: id });
    this.sent.add(id).add(undo);
    const at = this.groups.indexOf(last?.group);
    if (at < 0) return (this.older = undo); // of before this page was opened: its group comes once that is recorded
    Object.assign(last.group, last.before);
    this.at = at;
    this.shown = null;
    this.show();
  }
}

export default mount(Duplicates);
