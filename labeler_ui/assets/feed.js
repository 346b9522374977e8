// @ts-check
// The clips to come, of what the page's filter asks for. A pair is shown once, whatever the server sends again.
/** @import { Card, Counts, Cursor, Decided, GridProps, RecentDecision, ReviewProps, WorkMessage } from "./types" */
/** @import { Outbox } from "./outbox.js" */

import { ask, reasonOf } from "./server.js";

const OF_THE_CLIP = ["duplicate", "unusable"]; // whatever the action

export const keyOf = (/** @type {{ clip: number, action: number }} */ card) => `${card.clip}:${card.action}`;

export class Feed {
  /** @type {Card[]} */
  cards = [];
  /** @type {Cursor | null} */
  place = null;
  /** @type {Set<string>} */
  known = new Set();
  /** @type {Set<number>} */
  gone = new Set(); // clips that no action is asked about any more
  loading = false;
  ended = false;
  closed = false;
  again = 0; // not asked before this time
  /** @type {Counts | null} */
  progress = null;
  /** @type {string | null} */
  trouble = null;
  /** @type {RecentDecision[]} */
  recent = [];
  /** @type {Record<string, string[]>} */
  references = {}; // of actions: where two pictures are

  /**
   * @param {ReviewProps | GridProps} props
   * @param {Outbox} outbox
   * @param {() => void} changed
   */
  constructor(props, outbox, changed) {
    this.props = props;
    this.outbox = outbox;
    this.changed = changed;
  }

  async fill(/** @type {number} */ wanted) {
    if (this.loading || this.closed || this.cards.length >= wanted || (this.ended && this.cards.length)) return;
    if (performance.now() < this.again) return;
    if (this.outbox.earlier) return;
    this.loading = true;
    try {
      const { filter, size } = this.props;
      const held = filter.mode === "audit" ? this.cards.length : 0; // that list begins with what is held
      const body = { ...filter, count: wanted + held, place: this.place, previews: Boolean(size) };
      this.receive(await ask(this.props, "labeler/work", body));
      this.trouble = null;
    } catch (error) {
      this.trouble = reasonOf(error);
      this.retryIn(1000);
    }
    this.loading = false;
    if (!this.closed) this.changed();
  }

  receive(/** @type {WorkMessage} */ message) {
    const fresh = message.cards.filter((card) => !this.known.has(keyOf(card)) && !this.gone.has(card.clip));
    fresh.forEach((card) => this.known.add(keyOf(card)));
    this.cards.push(...fresh);
    this.ended = !fresh.length && !this.place;
    if (this.ended && !this.cards.length) this.retryIn(5000); // others may give clips back
    this.place = fresh.length ? message.place : null; // from the start again, for what came free meanwhile
    this.progress = message.progress ?? this.progress;
    this.recent = message.recent;
    Object.assign(this.references, message.references);
  }

  retryIn(/** @type {number} */ milliseconds) {
    this.again = performance.now() + milliseconds;
    setTimeout(() => this.closed || this.changed(), milliseconds + 10);
  }

  /**
   * Drop what was decided. After a verdict on the clip as a whole there is nothing left to ask under its other actions, nor
   * under the one that a mis-tagged clip was said to show.
   * @param {Pick<Decided, "clip" | "action" | "verdict" | "other">} decided
   */
  drop({ clip, action, verdict, other }) {
    const whole = OF_THE_CLIP.includes(verdict);
    const also = this.cards.filter((card) => card.clip === clip && (whole || card.action === other));
    if (whole) this.gone.add(clip);
    else if (other) this.known.add(keyOf({ clip, action: other }));
    this.cards = this.cards.filter((card) => !also.includes(card) && keyOf(card) !== keyOf({ clip, action }));
    if (whole) also.forEach((card) => this.known.delete(keyOf(card)));
  }

  /**
   * Taken back: on screen again, and to come under the action that had been named.
   * @param {Card} card
   * @param {number} [other]
   */
  restore(card, other) {
    this.gone.delete(card.clip);
    this.cards = this.cards.filter((each) => keyOf(each) !== keyOf(card));
    if (other) this.release({ clip: card.clip, action: other });
    this.known.add(keyOf(card));
  }

  /** The server may send it again. */
  release(/** @type {{ clip: number, action: number }} */ card) {
    [this.again, this.ended] = [0, false];
    this.known.delete(keyOf(card));
  }
}
