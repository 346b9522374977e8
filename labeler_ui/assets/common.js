// What the review page and the grid share: requests, the outbox of decisions, the feed of clips, and the clock.

const address = (path) => new URL(path, document.baseURI).href;
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const OF_THE_CLIP = ["duplicate", "unusable"]; // whatever the action
const keyOf = (card) => `${card.clip}:${card.action}`;

function make(tag, words = {}, ...inside) {
  const element = Object.assign(document.createElement(tag), words); // text only by textContent: strangers wrote it
  element.append(...inside);
  return element;
}

function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, "$1-$2-4$3-8$4-$5");
}

async function ask(page, path, body) {
  const headers = { "Content-Type": "application/json", "X-Plusmv-Pass": page.pass };
  const answer = await fetch(address(path), {
    method: "POST", headers, body: JSON.stringify(body), signal: AbortSignal.timeout(45000),
  });
  const told = await answer.json().catch(() => ({ error: `the server answered ${answer.status}` }));
  if (!answer.ok) throw Object.assign(new Error(told.error), { status: answer.status });
  return told;
}

// Decisions that the catalog has not acknowledged. They lie in the browser's storage, so that they outlive a reload and a
// dead server, and are sent again until there is an answer; each has an id by which it is recorded once.
class Outbox {
  constructor(page, { answered, changed }) {
    Object.assign(this, { page, answered, changed, trouble: null, sending: false, last: 0 });
    this.prefix = `plusmv ${page.workspace} ${page.annotator} `;
    const isOurs = (key) => key.startsWith(this.prefix) && /^\d+$/.test(key.slice(this.prefix.length)); // no longer name's
    this.pending = Object.keys(localStorage).filter(isOurs).sort()
      .map((key) => ({ key, entry: JSON.parse(localStorage.getItem(key)) }));
    this.earlier = this.pending.length; // of before a reload: the catalog must have them before it says what is next
    this.send();
  }

  add(entry) {
    const id = newId();
    this.last = Math.max(this.last + 1, 1000 * Date.now()); // in order, also within a millisecond
    const key = this.prefix + String(this.last).padStart(17, "0");
    this.pending.push({ key, entry: { ...entry, id } });
    try {
      localStorage.setItem(key, JSON.stringify({ ...entry, id }));
    } catch { /* full or forbidden: kept in memory alone */ }
    this.changed();
    this.send();
    return id;
  }

  async send() {
    if (this.sending) return;
    this.sending = true;
    for (let [wait, most] = [250, 50]; this.pending.length && !this.closed; ) {
      const { to } = this.pending[0].entry; // where other pages' entries go, also when they are sent from this one
      const other = this.pending.findIndex(({ entry }) => entry.to !== to);
      const batch = this.pending.slice(0, other < 0 ? most : Math.min(most, other));
      try {
        const entries = batch.map((each) => each.entry);
        const { answers } = await ask(this.page, to ?? "labeler/decisions", { entries }).catch((error) => {
          if (error.status !== 400 || batch.length > 1) throw error;
          return { answers: [{ state: "refused", reason: error.message }] }; // never to be had, however often it is sent
        });
        batch.forEach(({ key }) => localStorage.removeItem(key));
        this.pending = this.pending.slice(batch.length);
        this.earlier = Math.max(this.earlier - batch.length, 0);
        [this.trouble, wait, most] = [null, 250, 50];
        batch.forEach(({ entry }, index) => this.answered(entry, answers[index]));
      } catch (error) {
        if (error.status === 400) most = 1; // one of them is at fault
        this.trouble = error.status ? error.message : "the server does not answer";
        this.changed();
        await pause(wait);
        wait = Math.min(2 * wait, 4000);
      }
      this.changed();
    }
    this.sending = false;
  }

  words() {
    if (!this.pending.length) return "";
    const waiting = `${this.pending.length} decision${this.pending.length > 1 ? "s" : ""} pending`;
    return this.trouble ? `${waiting}, kept in this browser and sent again: ${this.trouble}` : waiting;
  }
}

// The clips to come, of what the page's filter asks for. A pair is shown once, whatever the server sends again.
class Feed {
  constructor(page, outbox, changed) {
    Object.assign(this, { page, outbox, changed, cards: [], place: null, known: new Set(), gone: new Set() });
    Object.assign(this, { loading: false, ended: false, again: 0 });
    this.progress = this.trouble = null;
    this.recent = [];
    this.references = {}; // of actions: where two pictures are
  }

  async fill(wanted) {
    if (this.loading || this.closed || this.cards.length >= wanted || (this.ended && this.cards.length)) return;
    if (performance.now() < this.again) return;
    if (this.outbox.earlier) return;
    this.loading = true;
    try {
      const held = this.page.filter.mode === "audit" ? this.cards.length : 0; // that list begins with what is held
      const body = { ...this.page.filter, count: wanted + held, place: this.place, previews: Boolean(this.page.size) };
      const told = await ask(this.page, "labeler/work", body);
      const fresh = told.cards.filter((card) => !this.known.has(keyOf(card)) && !this.gone.has(card.clip));
      fresh.forEach((card) => this.known.add(keyOf(card)));
      this.cards.push(...fresh);
      this.ended = !fresh.length && !this.place;
      if (this.ended && !this.cards.length) this.later(5000); // others may give clips back
      this.place = fresh.length ? told.place : null; // from the start again, for what came free meanwhile
      this.progress = told.progress ?? this.progress;
      this.recent = told.recent;
      Object.assign(this.references, told.references);
      this.trouble = null;
    } catch (error) {
      this.trouble = error.status ? error.message : "the server does not answer";
      this.later(1000);
    }
    this.loading = false;
    if (!this.closed) this.changed();
  }

  later(milliseconds) {
    this.again = performance.now() + milliseconds;
    setTimeout(() => this.closed || this.changed(), milliseconds + 10);
  }

  // Decided. After a verdict on the clip as a whole there is nothing left to ask under its other actions, nor under the one
  // that a mis-tagged clip was said to show.
  pass({ clip, action, verdict, other }) {
    const whole = OF_THE_CLIP.includes(verdict);
    const also = this.cards.filter((card) => card.clip === clip && (whole || card.action === other));
    if (whole) this.gone.add(clip);
    else if (other) this.known.add(keyOf({ clip, action: other }));
    this.cards = this.cards.filter((card) => !also.includes(card) && keyOf(card) !== keyOf({ clip, action }));
    if (whole) also.forEach((card) => this.known.delete(keyOf(card)));
  }

  // Taken back: on screen again, and to come under the action that had been named.
  hold(card, other) {
    this.gone.delete(card.clip);
    this.cards = this.cards.filter((each) => keyOf(each) !== keyOf(card));
    if (other) this.giveBack({ clip: card.clip, action: other });
    this.known.add(keyOf(card));
  }

  giveBack(card) {
    [this.again, this.ended] = [0, false];
    this.known.delete(keyOf(card));
  }
}

// Seconds of work: the time while the page is in view.
class Clock {
  constructor() {
    this.worked = 0;
    this.since = performance.now();
    this.look = () => {
      if (document.hidden) this.worked += performance.now() - this.since;
      this.since = performance.now();
    };
    document.addEventListener("visibilitychange", this.look);
  }

  lap() {
    const now = performance.now();
    const seconds = (this.worked + (document.hidden ? 0 : now - this.since)) / 1000;
    [this.worked, this.since] = [0, now];
    return Math.round(seconds * 1000) / 1000;
  }

  close() {
    document.removeEventListener("visibilitychange", this.look);
  }
}

// A clip in a <video>: fetched whole, so that it plays without waiting and holds no connection open.
class Film {
  constructor(folder, changed) {
    Object.assign(this, { folder, changed, card: null, note: "", failed: false, url: null, playing: false });
    this.video = make("video", { muted: true, loop: true, playsInline: true, preload: "auto" });
    this.video.addEventListener("error", () => this.video.getAttribute("src") && this.fallBack());
    this.video.addEventListener("loadeddata", () => {
      if (this.playing) this.play(this.video.playbackRate);
      this.changed();
    });
  }

  load(card) {
    if (this.card?.sha === card.sha) return;
    this.clear();
    this.card = card;
    this.video.dataset.sha = card.sha;
    if (card.error) this.fail(card.error);
    else this.fetch(`${this.folder}/${card.sha}`);
  }

  async fetch(path) {
    const stop = (this.stop = new AbortController());
    try {
      const answer = await fetch(address(path), { signal: stop.signal });
      if (!answer.ok) throw new Error(await answer.text());
      const url = URL.createObjectURL(await answer.blob());
      if (stop.signal.aborted) return URL.revokeObjectURL(url);
      this.url = url;
      this.video.src = url;
    } catch (error) {
      if (!stop.signal.aborted) this.fail(error.message);
    }
  }

  fallBack() {
    if (this.note || this.folder === "previews") return this.fail("this browser cannot decode it");
    this.note = "this browser cannot decode the clip: a copy is being made";
    this.video.poster = address(`stills/${this.card.sha}`);
    this.video.removeAttribute("src");
    this.fetch(`previews/${this.card.sha}`);
    this.changed();
  }

  fail(reason) {
    [this.failed, this.note] = [true, `This clip cannot be played: ${reason}`];
    this.changed();
  }

  clear() {
    this.stop?.abort();
    if (this.url) URL.revokeObjectURL(this.url);
    this.video.removeAttribute("src");
    this.video.removeAttribute("poster");
    if (this.url) this.video.load();
    Object.assign(this, { card: null, note: "", failed: false, url: null, playing: false });
  }

  play(speed) {
    this.playing = true; // also once it has come
    this.video.defaultPlaybackRate = this.video.playbackRate = speed;
    this.video.play().catch(() => {}); // refused where the next clip comes first
  }

  pause() {
    this.playing = false;
    this.video.pause();
  }
}

// Keys go to the page unless somebody types into a field; a held key counts once. Enter and space belong to a link or a
// button that was reached by Tab, not to one that kept the focus of a click.
function listen(act) {
  let tabbed = false;
  const clicked = () => (tabbed = false);
  const heard = (event) => {
    const target = event.composedPath()[0];
    if (event.key === "Tab") tabbed = true;
    if (tabbed && ["Enter", " "].includes(event.key) && target.closest?.("a, button")) return;
    const typing = target.isContentEditable || target.matches?.("input, textarea, select, [role=combobox], [role=option]");
    if (typing && target.getRootNode() instanceof ShadowRoot) event.stopPropagation(); // Streamlit would take r and c
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const taken = event.repeat ? act.keys.includes(event.key) : act(event);
    if (taken) {
      event.preventDefault();
      event.stopPropagation();
    }
  };
  document.addEventListener("keydown", heard, true);
  document.addEventListener("pointerdown", clicked, true);
  return () => {
    document.removeEventListener("keydown", heard, true);
    document.removeEventListener("pointerdown", clicked, true);
  };
}

const once = (act) => (event) => event.detail > 1 || act(event); // a double click counts once

function keyButton(label, key, meaning, act, first = false) {
  const made = make("button", { title: `${meaning} (${key})`, className: first ? "first" : "" },
    make("span", { textContent: label }), make("kbd", { textContent: key }));
  made.addEventListener("click", once((event) => { act(event); made.blur(); }));
  return made;
}

// What a page has to say, for a while.
function makeToast() {
  const toast = make("div", { className: "toast", role: "status" });
  let fading;
  toast.say = (words) => {
    toast.textContent = words;
    clearTimeout(fading);
    fading = setTimeout(() => (toast.textContent = ""), 6000);
  };
  return toast;
}

function letIn(page) {
  document.cookie = `${page.cookie}=${page.pass}; path=/; SameSite=Strict`;
}

// Streamlit calls a component anew at every rerun: the page is built once, and again where it asks for something else.
function mount(Page) {
  return ({ parentElement, data }) => {
    const root = parentElement.querySelector(".plusmv");
    const asked = JSON.stringify(data);
    if (root.asked !== asked) {
      if (root.page) document.activeElement?.blur(); // a select box keeps the keys to itself
      root.page?.close();
      letIn(data);
      root.replaceChildren();
      root.page = new Page(root, data);
      root.asked = asked;
    }
    return () => {
      root.page?.close();
      root.page = root.asked = null;
    };
  };
}
