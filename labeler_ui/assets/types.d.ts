// What the server sends to the pages and takes from them: labeler_ui/frame.py, routes.py, duplicate_routes.py and
// contradiction_routes.py write and read the same keys.

/** What Streamlit passes to a page's script, whichever page it is (frame.browser_component). */
export interface Props {
  workspace: string;
  annotator: string;
  actions: Record<string, { name: string; definition: string }>;
}

export interface QueueFilter {
  action: number | null;
  mode: string;
  search?: string;
  least?: boolean;
}

export interface ReviewProps extends Props {
  filter: QueueFilter;
  size?: undefined;
}

export interface GridProps extends Props {
  filter: QueueFilter;
  size: number;
}

export interface ListProps extends Props {
  list: string;
}

/** What a video player needs of a clip. `error`: why it cannot be played. */
export interface Playable {
  sha: string;
  error: string | null;
}

/** A clip under an action, to be decided on. */
export interface Card extends Playable {
  clip: number;
  action: number;
  name: string;
  seconds: number | null;
  tags: string[];
  caption: string;
  origin: string;
  posts: number;
  suspicion: number | null;
  mode?: string;
  revises?: number | string;
  verdict?: string;
}

export interface RecentDecision {
  request: number | string;
  verdict: string;
  card: Card;
}

/** `since`: decisions made in this page after the server counted. */
export interface Counts {
  decided: number;
  total: number;
  pace: number | null;
  since?: number;
}

export type Cursor = Record<string, number | null>;

export interface WorkMessage {
  cards: Card[];
  place: Cursor;
  progress: Counts | null;
  recent: RecentDecision[];
  references: Record<string, string[]>;
}

/** How a clip differs from the first of its group: t_clip = speed * t_first + offset_s; turn: degrees clockwise, once mirrored. */
export interface Edit {
  kind: string;
  speed: number;
  offset_s: number;
  mirror: boolean;
  turn: number;
  score: number;
  overlap_s: number;
}

export interface Member extends Playable {
  clip: number;
  seconds: number | null;
  width: number | null;
  height: number | null;
  bytes: number;
  actions: string[];
  tags: string[];
  posts: number;
  out: string | null;
  edit: Edit | null;
}

export interface SentGroup {
  place: number[];
  members: Member[];
  more: number;
}

/** A group on the page: `states` says what was made of its clips here. */
export interface Group extends SentGroup {
  states: Map<number, string>;
  settled: boolean;
}

export interface GroupsMessage {
  groups: SentGroup[];
  total: number;
  recent: string[];
  reading: boolean;
}

export interface Choice {
  action: number;
  name: string;
  definition: string;
  tags: string[];
  clips: number;
  verdict: string | null;
}

/** A clip, or copies of one, under several actions. */
export interface Case extends Playable {
  place: string;
  clips: number[];
  choices: Choice[];
  newest: number;
}

export interface CasesMessage {
  cases: Case[];
  recent: string[];
  reading: boolean;
}

/** A decision on one clip under one action. */
export interface Decided {
  clip: number;
  action: number;
  verdict: string;
  how: string;
  seconds: number;
  revises?: number | string;
  other?: number;
  reason?: string;
}

/** What the outbox sends: `to` is the route, labeler/decisions where it is absent; the rest is that route's own. */
export interface Entry {
  id: string;
  to?: string;
  [key: string]: unknown;
}

export interface Answer {
  id?: string;
  state: "recorded" | "refused";
  reason?: string;
}
