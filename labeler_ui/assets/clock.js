// @ts-check

/** Seconds of work: the time while the page is in view. */
export class Clock {
  worked = 0;
  since = performance.now();

  constructor() {
    document.addEventListener("visibilitychange", this.look);
  }

  look = () => {
    if (document.hidden) this.worked += performance.now() - this.since;
    this.since = performance.now();
  };

  /** Seconds since the last lap. */
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
