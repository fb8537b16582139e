// Follows the tenant's events (WHATWG HTML, 9.2), with the token that a browser's EventSource cannot give.
//
// One stream for all that a tab shows, and none while nobody looks at it: a browser has six connections
// to one host where that speaks HTTP/1.1, for all of its tabs.

import { Offline, follow } from "./api.js";
import { SessionEnded, onEnded } from "./session.js";

const AGAIN_MS = 1000;
const REFUSED_MS = 30_000; // enough streams, or nobody answers: pages ask by themselves meanwhile
const NOUNS = "command,delivery,device,rollout"; // of which each is told to whom may view what it is of
const A_PAGE = 100;
const MOST_PAGES = 64;
const NONE = new Set([400, 403, 404]); // no events here, or none for this person
const listeners = new Set();
let last = null;
let isOpen = false;
let following = null;

document.addEventListener("visibilitychange", () => (document.hidden ? rest() : begin()));
onEnded(rest);

/** Whether what happens is told now. */
export function isFollowing() {
  return isOpen;
}

/**
 * Be told each event of devices, commands, deliveries and rollouts as it comes.
 *
 * @param {(event: Object|null) => void} listener Given each event; `null`: some may have been missed.
 * @returns {() => void} Be told no more.
 */
export function listen(listener) {
  listeners.add(listener);
  begin();
  return () => listeners.delete(listener);
}

function rest() {
  following?.abort();
  following = null;
  isOpen = false;
}

function begin() {
  if (following || document.hidden || listeners.size === 0) return;
  following = new AbortController();
  run(following.signal);
}

function tell(event) {
  for (const listener of [...listeners]) listener(event);
}

async function run(signal) {
  while (!signal.aborted) {
    let wait = AGAIN_MS;
    try {
      const stream = await follow("/events", { nouns: NOUNS }, { signal, last });
      // What happened before the first stream of this tab, pages may have asked too early for.
      if (!isOpen && last === null) tell(null);
      isOpen = true;
      for await (const message of messages(stream)) {
        last = message.id ?? last;
        if (message.data && message.event !== "end") tell(JSON.parse(message.data));
      }
      isOpen = false;
    } catch (error) {
      if (signal.aborted) return;
      isOpen = false;
      if (error instanceof SessionEnded) return rest();
      if (error.status === 410) {
        last = null;
        continue;
      }
      if (NONE.has(error.status)) return;
      if (!(error instanceof Offline)) wait = REFUSED_MS;
    }
    await new Promise((done) => setTimeout(done, wait));
  }
}

/**
 * What was told since a moment, as far as the log and what one look may read go back.
 *
 * A page of the log has up to 100 events, and the `id` of a message begins with the number of its
 * page: it is read from ever further back, until something is older than the moment.
 *
 * @param {number} at Milliseconds since the epoch.
 * @param {string} nouns Of the events.
 * @returns {Promise<{events: Object[], from: number}>} `from`: when what was read begins.
 */
export async function eventsSince(at, nouns, { signal }) {
  const read = async (last) => {
    const found = { events: [], last };
    const stream = await follow("/events", { nouns, seconds: 0 }, { signal, last });
    for await (const message of messages(stream)) {
      found.last = message.id ?? found.last;
      if (message.data && message.event !== "end") found.events.push(JSON.parse(message.data));
    }
    return found;
  };
  const head = Number((await read(null)).last.split("-")[0]);
  let known = { events: [], from: Date.now() };
  for (let back = 4; ; back *= 4) {
    const first = Math.max(0, head - back);
    try {
      const { events } = await read(first === 0 ? "0-0" : `${first}-${A_PAGE}`);
      const oldest = Math.min(Date.now(), ...events.map(({ timestamp }) => Date.parse(timestamp)));
      // All that there ever was: nothing happened before it.
      known = { events, from: first === 0 ? at : Math.max(at, oldest) };
    } catch (error) {
      if (error.status !== 410) throw error;
      return known; // the log's beginning has left
    }
    if (known.from <= at || first === 0 || back >= MOST_PAGES) return known;
  }
}

/** The messages of a stream of text; one that is cut off in the middle is none. */
async function* messages(stream) {
  let rest = "";
  for await (const text of readable(stream.pipeThrough(new TextDecoderStream()))) {
    const blocks = (rest + text).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) yield messageOf(block);
  }
}

function messageOf(block) {
  const message = { id: null, event: "message", data: "" };
  for (const line of block.split("\n")) {
    const at = line.indexOf(":");
    if (at < 1) continue;
    const [name, value] = [line.slice(0, at), line.slice(at + 1).replace(/^ /, "")];
    if (name === "data") message.data += value;
    else if (name === "id" || name === "event") message[name] = value;
  }
  return message;
}

/** Not each browser's streams can be iterated over. */
async function* readable(stream) {
  const reader = stream.getReader();
  try {
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) yield piece.value;
  } catch (error) {
    // The line is cut: it is begun again.
    if (!(error instanceof TypeError)) throw error;
  } finally {
    reader.releaseLock();
  }
}
