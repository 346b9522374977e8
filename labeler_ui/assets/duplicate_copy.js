// @ts-check
// One clip of a group of copies: how it differs from the first one, said in badges, and playing the same moment.
/** @import { Edit, Group, Member } from "./types" */

import { make, makeDiv } from "./dom.js";
import { VideoPlayer } from "./video_player.js";

const inSeconds = (/** @type {number} */ seconds) => `${seconds.toFixed(1)} s`;
const size = (/** @type {number} */ bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

/** @type {Record<string, string>} */
const INVERSE_KINDS = { part: "whole", whole: "part" };

/** @type {(edit: Edit) => Edit} */
const inverse = (edit) => ({ ...edit, kind: INVERSE_KINDS[edit.kind] ?? edit.kind, speed: 1 / edit.speed,
  turn: edit.mirror ? edit.turn : (360 - edit.turn) % 360, offset_s: -edit.offset_s / edit.speed, overlap_s: edit.overlap_s / edit.speed });

/**
 * How a clip differs from another one, by way of the first: t = speed * t_first + offset for both.
 * @param {Edit} chosen of the other one
 * @param {Edit | null} edit null for the clip that was first
 * @returns {Edit}
 */
export function through(chosen, edit) {
  const back = inverse(chosen);
  if (!edit) return back;
  return { ...edit, speed: edit.speed * back.speed, offset_s: edit.speed * back.offset_s + edit.offset_s,
    mirror: edit.mirror !== chosen.mirror, turn: (edit.turn + (edit.mirror ? 360 - back.turn : back.turn)) % 360,
    score: Math.min(edit.score, chosen.score) };
}

/** @type {Record<string, string>} */
const KIND_BADGES = { part: "part of the first", whole: "the first is a part of it", shared: "shares something with the first" };

/** What is only mirrored is shown turned back; what is turned is shown as it is. */
const isShownTurnedBack = (/** @type {Edit | null} */ edit) => Boolean(edit?.mirror && !edit.turn);

/**
 * The words on a clip's badges.
 * @param {Member} member
 * @param {boolean} first
 * @returns {string[]}
 */
function badges(member, first) {
  const { edit } = member;
  const picture = [member.width && `${member.width}x${member.height}`, member.seconds && inSeconds(member.seconds),
    size(member.bytes)].filter(Boolean).join(" · ");
  const how = first ? ["stays"] : !edit ? ["not compared with the first"] : [
    KIND_BADGES[edit.kind] ?? edit.kind,
    edit.mirror && (isShownTurnedBack(edit) ? "mirrored (shown turned back)" : "mirrored"),
    edit.turn > 0 && `turned ${edit.turn} degrees`,
    Math.abs(edit.speed - 1) > 0.005 && `${edit.speed.toFixed(2)}x`,
    Math.abs(edit.offset_s) > 0.05 && `offset ${edit.offset_s > 0 ? "+" : "−"}${inSeconds(Math.abs(edit.offset_s))}`,
    edit.overlap_s > 0 && `overlap ${inSeconds(edit.overlap_s)}`,
    `score ${edit.score.toFixed(2)}`];
  return [...how, picture, member.actions.join(", "), member.tags.map((tag) => `#${tag}`).join(" ")].flatMap((each) => each || []);
}

/** One clip of the group on screen. */
export class Copy {
  /**
   * @param {Member} member
   * @param {string} folder clips or previews
   * @param {() => void} changed
   */
  constructor(member, folder, changed) {
    this.player = new VideoPlayer(folder, () => { this.note.textContent = this.player.note; changed(); });
    this.player.video.loop = false;
    this.note = make("span", { className: "note" });
    this.state = make("span", { className: "label" });
    this.number = make("kbd");
    this.facts = make("figcaption");
    const screen = makeDiv("screen", this.player.video, this.note, this.number, this.state);
    this.element = make("figure", { tabIndex: -1 }, screen, this.facts);
    this.player.load(member);
  }

  /**
   * @param {Member} member
   * @param {number} index
   * @param {Group} group
   * @param {boolean} chosen
   */
  describe(member, index, group, chosen) {
    const state = member.out ?? group.states.get(member.clip) ?? (index ? "" : "stays");
    this.number.textContent = String(index + 1);
    this.state.textContent = state;
    this.element.dataset.state = state;
    this.element.classList.toggle("chosen", chosen);
    this.player.video.style.transform = isShownTurnedBack(member.edit) ? "scaleX(-1)" : "";
    this.facts.replaceChildren(...badges(member, !index).map((textContent) => make("span", { className: "badge", textContent, dir: "auto" })));
  }

  /**
   * Play at `wanted` seconds of this clip, `speed` times as fast; how far off it was. Null where it has no such moment.
   * @param {number} wanted
   * @param {number} speed
   */
  follow(wanted, speed) {
    const { video } = this.player;
    const there = wanted >= -0.05 && wanted <= video.duration + 0.05;
    this.element.classList.toggle("off", !there);
    if (!there) {
      video.pause();
      return null;
    }
    if (video.seeking) return null;
    const late = wanted - video.currentTime;
    const far = Math.abs(late) > 0.3;
    if (far) video.currentTime = Math.max(0, wanted);
    video.playbackRate = far ? speed : Math.min(Math.max(speed * (1 + late), 0.8 * speed), 1.25 * speed);
    if (video.paused && !video.ended) video.play().catch(() => {});
    return Math.abs(late);
  }
}
