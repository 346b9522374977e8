// @ts-check
// A clip in a <video>: fetched whole, so that it plays without waiting and holds no connection open.
/** @import { Playable } from "./types" */

import { address, make } from "./dom.js";

export class VideoPlayer {
  /** @type {Playable | null} */
  card = null;
  note = "";
  failed = false;
  /** @type {string | null} */
  url = null;
  playing = false;
  /** @type {AbortController | null} */
  stop = null;

  /**
   * @param {string} folder where the server has it: clips or previews
   * @param {() => void} changed
   */
  constructor(folder, changed) {
    this.folder = folder;
    this.changed = changed;
    this.video = make("video", { muted: true, loop: true, playsInline: true, preload: "auto" });
    this.video.addEventListener("error", () => this.video.getAttribute("src") && this.fallBack());
    this.video.addEventListener("loadeddata", () => {
      if (this.playing) this.play(this.video.playbackRate);
      this.changed();
    });
  }

  /** A picture is there, or there will be none. */
  get ready() {
    return this.failed || this.video.readyState >= 2;
  }

  load(/** @type {Playable} */ card) {
    if (this.card?.sha === card.sha) return;
    this.clear();
    this.card = card;
    this.video.dataset.sha = card.sha;
    if (card.error) this.fail(card.error);
    else this.fetch(`${this.folder}/${card.sha}`);
  }

  async fetch(/** @type {string} */ path) {
    const stop = (this.stop = new AbortController());
    try {
      const answer = await fetch(address(path), { signal: stop.signal });
      if (!answer.ok) throw new Error(await answer.text());
      const [shown, whole] = (answer.headers.get("X-Plusmv-Shown-Seconds") ?? "").split("/");
      if (whole) this.note = `only the first ${shown} of ${whole} seconds are shown`;
      const url = URL.createObjectURL(await answer.blob());
      if (stop.signal.aborted) return URL.revokeObjectURL(url);
      this.url = url;
      this.video.src = url;
    } catch (error) {
      if (!stop.signal.aborted) this.fail(error instanceof Error ? error.message : String(error));
    }
  }

  fallBack() {
    if (this.note || this.folder === "previews" || !this.card) return this.fail("this browser cannot decode it");
    this.note = "this browser cannot decode the clip: a copy is being made";
    this.video.poster = address(`stills/${this.card.sha}`);
    this.video.removeAttribute("src");
    this.fetch(`previews/${this.card.sha}`);
    this.changed();
  }

  fail(/** @type {string} */ reason) {
    [this.failed, this.note] = [true, `This clip cannot be played: ${reason}`];
    this.changed();
  }

  clear() {
    this.stop?.abort();
    if (this.url) URL.revokeObjectURL(this.url);
    this.video.removeAttribute("src");
    this.video.removeAttribute("poster");
    if (this.url) this.video.load();
    [this.card, this.note, this.failed, this.url, this.playing] = [null, "", false, null, false];
  }

  play(/** @type {number} */ speed) {
    this.playing = true; // also once it has come
    this.video.defaultPlaybackRate = this.video.playbackRate = speed;
    this.video.play().catch(() => {}); // refused where the next clip comes first
  }

  pause() {
    this.playing = false;
    this.video.pause();
  }
}

/**
 * Load these cards into the players that show none of them.
 * @param {VideoPlayer[]} players
 * @param {Playable[]} wanted
 */
export function loadAhead(players, wanted) {
  const free = players.filter((player) => !wanted.some((card) => card.sha === player.card?.sha));
  for (const card of wanted) {
    if (!players.some((player) => player.card?.sha === card.sha)) free.shift()?.load(card);
  }
}
