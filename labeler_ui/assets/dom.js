// @ts-check
// Elements, buttons with keys, the keyboard, and messages that fade.

/** @typedef {HTMLDivElement & { show: (message: string | undefined) => void }} Toast */

export const address = (/** @type {string} */ path) => new URL(path, document.baseURI).href;
export const pause = (/** @type {number} */ milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/**
 * An element with these properties. Text only by textContent: strangers wrote it.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Partial<HTMLElementTagNameMap[Tag]>} [properties]
 * @param {...(Node | string)} children
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  Object.assign(element, properties);
  element.append(...children);
  return element;
}

export const makeDiv = (/** @type {string} */ className, /** @type {Node[]} */ ...children) => make("div", { className }, ...children);

/** A random UUID, version 4; crypto.randomUUID exists on https and localhost only. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, "$1-$2-4$3-8$4-$5");
}

/**
 * A click handler for which a double click counts once.
 * @param {(event: MouseEvent) => void} act
 */
export const once = (act) => (/** @type {MouseEvent} */ event) => {
  if (event.detail <= 1) act(event);
};

/**
 * A button that names the key which does the same.
 * @param {string} label
 * @param {string} key
 * @param {string} meaning
 * @param {() => void} act
 */
export function keyButton(label, key, meaning, act, first = false) {
  const made = make("button", { title: `${meaning} (${key})`, className: first ? "first" : "" },
    make("span", { textContent: label }), make("kbd", { textContent: key }));
  made.addEventListener("click", once(() => { act(); made.blur(); }));
  return made;
}

/** A message in the corner, shown for six seconds. */
export function makeToast() {
  /** @type {number | undefined} */
  let fading;
  const toast = make("div", { className: "toast", role: "status" });
  const show = (/** @type {string | undefined} */ message) => {
    toast.textContent = message ?? "";
    clearTimeout(fading);
    fading = setTimeout(() => (toast.textContent = ""), 6000);
  };
  return /** @type {Toast} */ (Object.assign(toast, { show }));
}

/**
 * Pass keys to a page unless somebody types into a field; a held key counts once. Enter and space belong to a link or a
 * button that was reached by Tab, not to one that kept the focus of a click. Returns what ends it.
 * @param {string[]} keys those whose repeats are swallowed
 * @param {(event: KeyboardEvent) => boolean} act true where the page used the key
 */
export function listen(keys, act) {
  let tabbed = false;
  const clicked = () => { tabbed = false; };
  const heard = (/** @type {KeyboardEvent} */ event) => {
    const target = /** @type {Partial<HTMLElement>} */ (event.composedPath()[0]); // document and window have no closest
    if (event.key === "Tab") tabbed = true;
    if (tabbed && ["Enter", " "].includes(event.key) && target.closest?.("a, button")) return;
    const typing = target.isContentEditable || target.matches?.("input, textarea, select, [role=combobox], [role=option]");
    if (typing && target.getRootNode?.() instanceof ShadowRoot) event.stopPropagation(); // Streamlit would take r and c
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const taken = event.repeat ? keys.includes(event.key) : act(event);
    if (taken) {
      event.preventDefault();
      event.stopPropagation();
    }
  };
  document.addEventListener("keydown", heard, true);
  document.addEventListener("pointerdown", clicked, true);
  return () => {
    document.removeEventListener("keydown", heard, true);
    document.removeEventListener("pointerdown", clicked, true);
  };
}

/** True where Enter or space was pressed on a focused button or link, which does its own. */
export function belongsToFocus(/** @type {KeyboardEvent} */ event) {
  const target = /** @type {Partial<HTMLElement>} */ (event.composedPath()[0]);
  return ["Enter", " "].includes(event.key) && Boolean(target.matches?.("button, a"));
}
