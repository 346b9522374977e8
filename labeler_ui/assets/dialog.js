// @ts-check
// A dialog that asks for a word or shows a text.

import { make, makeDiv } from "./dom.js";

const OFFERED = 8; // choices shown while somebody types

/** A text as it is compared: letters and digits alone, in lower case. */
export const plain = (/** @type {string} */ text) => text.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");

export class Dialog {
  element = make("dialog", { className: "box" });

  get isOpen() {
    return this.element.open;
  }

  /**
   * Ask for a word; choices that match what is typed are offered.
   * @param {string} question
   * @param {string[]} choices
   * @param {(typed: string) => boolean} act true where the dialog is done
   */
  ask(question, choices, act) {
    const input = make("input", { autocomplete: "off", maxLength: 2000 });
    const matching = makeDiv("bar");
    const form = make("form", {}, make("label", { textContent: question }, input), matching);
    this.element.oncancel = () => input.blur();
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
      if (!act(input.value.trim())) return;
      input.blur(); // a closed dialog keeps the focus for a moment, and with it the next key
      this.element.close();
    });
    this.element.replaceChildren(form);
    this.element.showModal();
    input.focus();
  }

  /**
   * @param {[key: string, meaning: string][]} rows
   * @param {string} note
   */
  help(rows, note) {
    const list = make("dl");
    rows.forEach(([key, meaning]) => list.append(make("dt", {}, make("kbd", { textContent: key })), make("dd", { textContent: meaning })));
    const close = make("button", { textContent: "Close" });
    close.addEventListener("click", () => this.element.close());
    this.element.replaceChildren(list, make("p", { textContent: note }), close);
    this.element.showModal();
  }
}
