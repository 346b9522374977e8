// @ts-check
// Pages whose queue is a list of cases, read from a place onwards, where one request settles a case and undo takes requests
// back, newest first: duplicates and contradictions.
/** @import { Answer, Entry, ListProps } from "./types" */

import { QueuePage } from "./queue_page.js";
import { ask, reasonOf } from "./server.js";

/**
 * @template {{ place: unknown }} Case
 * @template Made what undo needs to bring a case back
 * @template {object} [More={}] what a page of the list says besides its cases
 * @extends {QueuePage<ListProps>}
 * @abstract
 */
export class CasePage extends QueuePage {
  /** @type {Case[]} */
  cases = [];
  at = 0; // which of them is on screen
  /** @type {Set<unknown>} */
  known = new Set();
  /** @type {unknown} */
  after = null;
  loading = false;
  ended = false;
  round = 0; // answers to requests of an earlier round do not count
  /** @type {string | null} */
  trouble = null;
  /** @type {string[]} */
  recent = []; // requests that the server calls the last ones
  /** @type {Set<string>} */
  sent = new Set(); // requests of this page, and those it took back
  /** @type {{ id: string, made: Made }[]} */
  made = [];
  /** @type {string | null} */
  older = null; // an undo of what was done before this page was opened

  /** @returns {{ ahead: number, actions: string, reading: string }} cases asked for before they are needed; the route that takes actions; what the server does meanwhile */
  get settings() {
    throw new Error("a page says where its cases are");
  }

  get current() {
    return /** @type {Case | undefined} */ (this.cases[this.at]);
  }

  refresh() {
    this.fill();
    this.render();
  }

  answered(/** @type {Entry} */ entry, /** @type {Answer} */ answer) {
    super.answered(entry, answer);
    if (entry.id === this.older) this.restart();
  }

  // The cases to come

  async fill() {
    const { ahead, reading } = this.settings;
    if (this.loading || this.closed || this.ended || this.outbox.earlier || this.cases.length - this.at > ahead) return;
    const round = this.round;
    this.loading = true;
    try {
      const message = await this.request();
      if (round !== this.round) return; // of before what was taken back
      const fresh = message.cases.filter((each) => !this.known.has(this.nameOf(each)));
      fresh.forEach((each) => this.known.add(this.nameOf(each)));
      this.cases.push(...fresh);
      [this.recent, this.trouble] = [message.recent, message.reading ? reading : null];
      if (message.reading) setTimeout(() => this.fill(), 1000);
      else this.advance(message, fresh);
    } catch (error) {
      if (round !== this.round) return;
      this.trouble = reasonOf(error);
      setTimeout(() => this.fill(), 1000);
    }
    this.loading = false;
    if (!this.closed) this.show();
  }

  restart() {
    Object.assign(this, { cases: [], at: 0, after: null, ended: false, loading: false, round: this.round + 1 });
    this.known.clear();
    this.show();
    this.fill();
  }

  // What was done, and undo

  /**
   * @param {object} action
   * @returns {string} the request's id
   */
  send(action) {
    const id = this.outbox.add({ to: this.settings.actions, ...action, seconds: this.clock.lap() });
    this.sent.add(id);
    return id;
  }

  /** The newest request of before this page was opened that has not been taken back. */
  get before() {
    return this.recent.find((id) => !this.sent.has(id));
  }

  get canUndo() {
    return this.made.length > 0 || this.before !== undefined;
  }

  undo() {
    const last = this.made.pop();
    const id = last?.id ?? this.before;
    if (!id) return;
    const undo = this.outbox.add({ to: this.settings.actions, undo: id });
    this.sent.add(id).add(undo);
    if (!last || !this.bringBack(last.made)) this.older = undo; // its case comes once that is recorded
  }

  // What a page fills in

  /**
   * Ask for the cases after `this.after`.
   * @returns {Promise<More & { cases: Case[], recent: string[], reading: boolean }>}
   */
  request() {
    throw new Error("a page asks for its cases");
  }

  /**
   * What tells a case from the others.
   * @param {Case} each
   * @returns {unknown}
   */
  nameOf(each) {
    return each.place;
  }

  /**
   * Move the place where the list is read on, or find that it ended.
   * @param {More & { cases: Case[] }} message
   * @param {Case[]} _fresh those of its cases that were not known
   */
  advance({ cases }, _fresh) {
    this.after = cases.at(-1)?.place ?? this.after;
    this.ended = !cases.length;
  }

  /** Show the case that is at hand. */
  show() {}

  /** Write what is known anew. */
  render() {}

  /**
   * Show a case again whose request was taken back; false where it is not at hand.
   * @param {Made} _made
   * @returns {boolean}
   */
  bringBack(_made) {
    return false;
  }
}

/**
 * One page of the list.
 * @param {ListProps} props
 * @param {string} path
 * @param {unknown} after
 * @param {object} [more]
 */
export const askForCases = (props, path, after, more = {}) => ask(props, path, { list: props.list, after, ...more });
