// Asks the API, and makes of each refusal what a page can say in words.

import { asking } from "./place.js";
import { SessionEnded, drop, token } from "./session.js";

const PREFIX = "urn:cedarfleet:problem:";
const ATTEMPTS = 3;
const SAME_SECOND_MS = 2000;

/** The API does not answer: the network, or nobody at the other end. */
export class Offline extends Error {}

/**
 * A refusal of the API (RFC 9457).
 *
 * `kind` is the slug of its type, `members` the document.
 */
export class Refused extends Error {
  constructor(status, members) {
    super(members.detail ?? members.title ?? `the API answered ${status}`);
    this.status = status;
    this.members = members;
    this.kind = String(members.type ?? "").replace(PREFIX, "");
  }
}

/** Read something: `get("/devices", {limit: 100})`. */
export function get(path, query = {}, options = {}) {
  return ask("GET", asking(`/v1${path}`, query), options);
}

/** Read something that is no JSON, as it was sent. */
export function getText(path, query = {}, options = {}) {
  return ask("GET", asking(`/v1${path}`, query), { signal: options.signal, asText: true });
}

/** Read what goes on for as long as somebody reads: `last` is the id of the last message that was. */
export function follow(path, query, { signal, last }) {
  return ask("GET", asking(`/v1${path}`, query), { signal, last, asStream: true });
}

/**
 * Change something.
 *
 * @param {string} method POST, PATCH, PUT or DELETE.
 * @param {string} path Behind `/v1`.
 * @param {Object} [body] Sent as JSON.
 * @param {Object} [options] `once`: a key by which a repeated request is done once; `match`: the
 *   entity tag that the change expects.
 */
export function send(method, path, body, options = {}) {
  return ask(method, `/v1${path}`, { ...options, body });
}

/** What the caller may do: an answer for each question, however many. */
export async function may(checks, options = {}) {
  const pieces = [];
  for (let at = 0; at < checks.length; at += 100) pieces.push(checks.slice(at, at + 100));
  const answered = await Promise.all(
    pieces.map((piece) => ask("POST", "/v1/permissions/check", { ...options, body: { checks: piece } })),
  );
  return answered.flatMap(({ answers }) => answers);
}

async function ask(method, address, options = {}) {
  const { body, once, match, last, signal, asText = false, asStream = false, attempt = 1 } = options;
  const headers = { Authorization: `Bearer ${await asSomebody(attempt > 1)}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (once) headers["Idempotency-Key"] = once;
  if (match) headers["If-Match"] = match;
  if (last) headers["Last-Event-ID"] = last;
  const answer = await answered(address, { method, headers, body: JSON.stringify(body), signal });
  if (answer.ok && asText) return answer.text();
  if (answer.ok && asStream) return answer.body;
  const document = await answer.json().catch(() => ({}));
  if (answer.ok) return document;
  // A token may be refused before it ends: somebody's groups were changed. A new one of the very
  // second of the change counts as one of before it, so that another is asked for after that.
  if (answer.status === 401 && attempt < ATTEMPTS) {
    if (attempt > 1) await new Promise((done) => setTimeout(done, SAME_SECOND_MS));
    return ask(method, address, { ...options, attempt: attempt + 1 });
  }
  if (answer.status === 401) {
    drop();
    throw new SessionEnded(document.detail ?? "the session has ended");
  }
  throw new Refused(answer.status, document);
}

async function asSomebody(anew) {
  try {
    return await token({ anew });
  } catch (error) {
    throw error instanceof TypeError ? new Offline("the sign-in page cannot be reached") : error;
  }
}

async function answered(address, request) {
  try {
    return await fetch(address, { cache: "no-store", ...request });
  } catch (error) {
    throw error instanceof TypeError ? new Offline("the API cannot be reached") : error;
  }
}
