// One clip of a group of copies: what it is to the first one, said in badges, and playing the same moment.

const shorter = (seconds) => `${seconds.toFixed(1)} s`;
const size = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
const inverse = (edit) => ({ ...edit, kind: { part: "whole", whole: "part" }[edit.kind] ?? edit.kind, speed: 1 / edit.speed,
  offset_s: -edit.offset_s / edit.speed, overlap_s: edit.overlap_s / edit.speed });

// What a clip is to another one, by way of the first: t = speed * t_first + offset for both.
function through(chosen, edit) {
  const back = inverse(chosen);
  if (!edit) return back; // the one that was first
  return { ...edit, speed: edit.speed * back.speed, offset_s: edit.speed * back.offset_s + edit.offset_s,
    mirror: edit.mirror !== chosen.mirror, score: Math.min(edit.score, chosen.score) };
}

function badges(member, first) {
  const { edit } = member;
  const whole = { part: "part of the first", whole: "the first is a part of it" };
  const picture = [member.width && `${member.width}x${member.height}`, member.seconds && shorter(member.seconds),
    size(member.bytes)].filter(Boolean).join(" · ");
  const how = first ? ["stays"] : !edit ? ["not compared with the first"] : [
    whole[edit.kind] ?? edit.kind,
    edit.mirror && "mirrored (shown turned back)",
    Math.abs(edit.speed - 1) > 0.005 && `${edit.speed.toFixed(2)}x`,
    Math.abs(edit.offset_s) > 0.05 && `offset ${edit.offset_s > 0 ? "+" : "−"}${shorter(Math.abs(edit.offset_s))}`,
    edit.overlap_s > 0 && `overlap ${shorter(edit.overlap_s)}`,
    `score ${edit.score.toFixed(2)}`];
  return [...how, picture, member.actions.join(", "), member.tags.map((tag) => `#${tag}`).join(" ")].filter(Boolean);
}

// One clip of the group on screen.
class Copy {
  constructor(member, folder, changed) {
    this.film = new Film(folder, () => { this.note.textContent = this.film.note; changed(); });
    this.film.video.loop = false;
    this.note = make("span", { className: "note" });
    this.state = make("span", { className: "label" });
    this.number = make("kbd");
    this.facts = make("figcaption");
    const screen = make("div", { className: "screen" }, this.film.video, this.note, this.number, this.state);
    this.element = make("figure", { tabIndex: -1 }, screen, this.facts);
    this.film.load(member);
  }

  get ready() {
    return this.film.failed || this.film.video.readyState >= 2;
  }

  describe(member, index, group, chosen) {
    const state = member.out ?? group.states.get(member.clip) ?? (index ? "" : "stays");
    this.number.textContent = index + 1;
    this.state.textContent = state;
    this.element.dataset.state = state;
    this.element.classList.toggle("chosen", chosen);
    this.film.video.style.transform = member.edit?.mirror ? "scaleX(-1)" : "";
    this.facts.replaceChildren(...badges(member, !index).map((textContent) => make("span", { className: "badge", textContent, dir: "auto" })));
  }

  // Play at `wanted` seconds of this clip, `speed` times as fast; how far off it was. Null where it has no such moment.
  follow(wanted, speed) {
    const { video } = this.film;
    const there = wanted >= -0.05 && wanted <= video.duration + 0.05;
    this.element.classList.toggle("off", !there);
    if (!there) return video.pause(), null;
    if (video.seeking) return null;
    const late = wanted - video.currentTime;
    const far = Math.abs(late) > 0.3;
    if (far) video.currentTime = Math.max(0, wanted);
    video.playbackRate = far ? speed : Math.min(Math.max(speed * (1 + late), 0.8 * speed), 1.25 * speed);
    if (video.paused && !video.ended) video.play().catch(() => {});
    return Math.abs(late);
  }
}
