// @ts-check
// Requests to the labeler's routes.
/** @import { Props } from "./types" */

import { address } from "./dom.js";

/** The server's refusal, with its status. */
export class RequestError extends Error {
  constructor(/** @type {string} */ message, /** @type {number} */ status) {
    super(message);
    this.status = status;
  }
}

/** Why a request failed, for people. */
export const reasonOf = (/** @type {unknown} */ error) => error instanceof RequestError ? error.message : "the server does not answer";

/**
 * POST JSON and return the JSON that comes back. Throws RequestError where the server refuses.
 * @param {Props} props
 * @param {string} path
 * @param {object} body
 */
export async function ask(props, path, body) {
  const headers = { "Content-Type": "application/json" };
  const sent = JSON.stringify({ ...body, annotator: props.annotator }); // refused where somebody else signed in since
  const answer = await fetch(address(path), { method: "POST", headers, body: sent, signal: AbortSignal.timeout(45000) });
  const message = await answer.json().catch(() => ({ error: `the server answered ${answer.status}` }));
  if (!answer.ok) throw new RequestError(message.error, answer.status);
  return message;
}
