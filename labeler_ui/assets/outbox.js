// @ts-check
// Decisions that the catalog has not acknowledged. They lie in the browser's storage, so that they outlive a reload and a
// dead server, and are sent again until there is an answer; each has an id by which it is recorded once.
/** @import { Answer, Entry, Props } from "./types" */

import { newId, pause } from "./dom.js";
import { ask, reasonOf, RequestError } from "./server.js";

const BATCH = 50; // entries of one request
const [FIRST_WAIT_MS, LONGEST_WAIT_MS] = [250, 4000];

/** @typedef {{ key: string, entry: Entry }} Pending where it lies in the browser's storage, and what is sent */

export class Outbox {
  closed = false;
  sending = false;
  last = 0;
  /** @type {string | null} */
  trouble = null;

  /**
   * @param {Props} props
   * @param {{ answered: (entry: Entry, answer: Answer) => void, changed: () => void }} listeners
   */
  constructor(props, { answered, changed }) {
    this.props = props;
    this.answered = answered;
    this.changed = changed;
    this.prefix = `plusmv ${props.workspace} ${props.annotator} `;
    this.pending = this.stored();
    this.earlier = this.pending.length; // of before a reload: the catalog must have them before it says what is next
    this.send();
  }

  /** @returns {Pending[]} */
  stored() {
    const isOurs = (/** @type {string} */ key) => key.startsWith(this.prefix) && /^\d+$/.test(key.slice(this.prefix.length)); // no longer name's
    return Object.keys(localStorage).filter(isOurs).sort()
      .map((key) => ({ key, entry: JSON.parse(localStorage.getItem(key) ?? "null") }));
  }

  /**
   * Queue an entry and return its id.
   * @param {Omit<Entry, "id">} entry
   */
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
    for (let [wait, most] = [FIRST_WAIT_MS, BATCH]; this.pending.length && !this.closed; ) {
      try {
        await this.sendBatch(most);
        [this.trouble, wait, most] = [null, FIRST_WAIT_MS, BATCH];
      } catch (error) {
        if (error instanceof RequestError && error.status === 400) most = 1; // one of them is at fault
        this.trouble = reasonOf(error);
        this.changed();
        await pause(wait);
        wait = Math.min(2 * wait, LONGEST_WAIT_MS);
      }
      this.changed();
    }
    this.sending = false;
  }

  async sendBatch(/** @type {number} */ most) {
    const { to } = this.pending[0].entry; // where other pages' entries go, also when they are sent from this one
    const other = this.pending.findIndex(({ entry }) => entry.to !== to);
    const batch = this.pending.slice(0, other < 0 ? most : Math.min(most, other));
    const answers = await this.ask(to ?? "labeler/decisions", batch.map(({ entry }) => entry));
    batch.forEach(({ key }) => localStorage.removeItem(key));
    this.pending = this.pending.slice(batch.length);
    this.earlier = Math.max(this.earlier - batch.length, 0);
    this.trouble = null;
    batch.forEach(({ entry }, index) => this.answered(entry, answers[index]));
  }

  /**
   * @param {string} path
   * @param {Entry[]} entries
   * @returns {Promise<Answer[]>}
   */
  async ask(path, entries) {
    try {
      return (await ask(this.props, path, { entries })).answers;
    } catch (error) {
      if (!(error instanceof RequestError) || error.status !== 400 || entries.length > 1) throw error;
      return [{ state: "refused", reason: error.message }]; // however often it is sent
    }
  }

  /** How much is pending, and why; empty where nothing is. */
  status() {
    if (!this.pending.length) return "";
    const waiting = `${this.pending.length} decision${this.pending.length > 1 ? "s" : ""} pending`;
    return this.trouble ? `${waiting}, kept in this browser and sent again: ${this.trouble}` : waiting;
  }
}
