// @ts-check
// How Streamlit's components (v2) build a page: they call the default export of its script.
/** @import { Props } from "./types" */

/** @typedef {{ close: () => void }} Page */
/** @typedef {HTMLElement & { page?: Page | null, props?: string | null }} Root */

/**
 * Streamlit calls a component anew at every rerun: the page is built once, and again where its props change.
 * @template {Props} P
 * @param {new (root: HTMLElement, props: P) => Page} PageClass
 */
export function mount(PageClass) {
  return (/** @type {{ parentElement: ParentNode, data: P }} */ { parentElement, data }) => {
    const root = /** @type {Root} */ (parentElement.querySelector(".plusmv"));
    const props = JSON.stringify(data);
    if (root.props !== props) {
      if (root.page && document.activeElement instanceof HTMLElement) document.activeElement.blur(); // a select box keeps the keys to itself
      root.page?.close();
      root.replaceChildren();
      root.page = new PageClass(root, data);
      root.props = props;
    }
    return () => {
      root.page?.close();
      root.page = root.props = null;
    };
  };
}
