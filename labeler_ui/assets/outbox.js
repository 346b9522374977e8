// On a page that shows no clips: what other pages decided and the catalog has not acknowledged is told, and sent.

class Unsent {
  constructor(root, page) {
    const pending = make("div", { className: "pending", role: "status" });
    const toast = makeToast();
    root.append(pending, toast);
    this.outbox = new Outbox(page, {
      answered: (entry, answer) => answer.state === "refused" && toast.say(answer.reason),
      changed: () => (pending.textContent = this.outbox.words()),
    });
    pending.textContent = this.outbox.words();
  }

  close() {
    this.outbox.closed = true;
  }
}

export default mount(Unsent);
