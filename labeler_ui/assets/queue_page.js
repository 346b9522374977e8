// @ts-check
// What all pages that decide have in common: the outbox, the clock, the keys, and the lines that say what is going on.
/** @import { Answer, Entry, Props } from "./types" */

import { Clock } from "./clock.js";
import { listen, make, makeToast } from "./dom.js";
import { Outbox } from "./outbox.js";

export const DONE = "Nothing is left here: everything is decided or assigned to another annotator.";
const TYPING_MS = 700; // between the two digits of a number

/**
 * @template {Props} P
 * @abstract
 */
export class QueuePage {
  closed = false;
  shownAt = 0;
  pending = make("div", { className: "pending", role: "status" });
  toast = makeToast();
  clock = new Clock();

  /**
   * A subclass draws itself and then calls render(): its fields are not there yet while this runs.
   * @param {HTMLElement} root
   * @param {P} props
   * @param {string[]} keys whose repeats are swallowed
   */
  constructor(root, props, keys) {
    this.root = root;
    this.props = props;
    this.outbox = new Outbox(props, {
      answered: (entry, answer) => this.answered(entry, answer),
      changed: () => this.refresh(),
    });
    this.unlisten = listen(keys, (event) => this.key(event));
  }

  close() {
    this.unlisten();
    this.clock.close();
    this.closed = this.outbox.closed = true;
  }

  /** Fetch what is needed and show what has changed. */
  refresh() {}

  /**
   * Do what a key stands for; false where it stands for nothing here.
   * @param {KeyboardEvent} event
   * @returns {boolean}
   */
  key(event) {
    throw new Error(`no key ${event.key}`);
  }

  answered(/** @type {Entry} */ entry, /** @type {Answer} */ answer) {
    if (answer.state === "refused") this.toast.show(answer.reason);
  }

  /** The line under the buttons: what is being typed, what is pending, or what is waited for. */
  showPending(/** @type {string | null | undefined} */ trouble, digits = "") {
    const waiting = trouble ? `Waiting: ${trouble}` : "";
    this.pending.textContent = digits ? `number ${digits}` : this.outbox.status() || waiting;
  }

  /** True where what is on screen appeared too recently: that is a second press of the last Enter. */
  tooQuick(/** @type {number} */ lookMs, /** @type {string} */ what) {
    const quick = performance.now() - this.shownAt < lookMs;
    if (quick) this.toast.show(`that press came too quickly: look at this ${what} first`);
    return quick;
  }
}

/** Numbers of one or two digits typed on the keyboard. */
export class NumberKeys {
  digits = "";
  /** @type {number | undefined} */
  timer = undefined;

  /**
   * @param {(index: number) => void} chosen called with the number less one
   * @param {() => void} changed
   */
  constructor(chosen, changed) {
    this.chosen = chosen;
    this.changed = changed;
  }

  /**
   * @param {string} digit
   * @param {number} largest the largest number there is
   */
  press(digit, largest) {
    clearTimeout(this.timer);
    this.digits += digit;
    const open = Number(this.digits) * 10 <= largest && this.digits !== "0"; // another digit may follow
    if (open) this.timer = setTimeout(() => this.commit(), TYPING_MS);
    else this.commit();
    this.changed();
  }

  commit() {
    clearTimeout(this.timer);
    const index = Number(this.digits) - 1;
    this.digits = "";
    this.chosen(index);
    this.changed();
  }

  clear() {
    clearTimeout(this.timer);
    this.digits = "";
  }
}
