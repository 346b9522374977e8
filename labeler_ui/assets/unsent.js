// @ts-check
// On a page that shows no clips: what other pages decided and the catalog has not acknowledged is shown, and sent.
/** @import { Props } from "./types" */

import { make, makeToast } from "./dom.js";
import { mount } from "./mount.js";
import { Outbox } from "./outbox.js";

class Unsent {
  constructor(/** @type {HTMLElement} */ root, /** @type {Props} */ props) {
    const pending = make("div", { className: "pending", role: "status" });
    const toast = makeToast();
    root.append(pending, toast);
    this.outbox = new Outbox(props, {
      answered: (entry, answer) => answer.state === "refused" && toast.show(answer.reason),
      changed: () => (pending.textContent = this.outbox.status()),
    });
    pending.textContent = this.outbox.status();
  }

  close() {
    this.outbox.closed = true;
  }
}

export default mount(Unsent);
