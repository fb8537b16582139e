// Follows the tenant's events (WHATWG HTML, 9.2), with the token that a browser's EventSource cannot give.

import { follow } from "./api.js";

const AGAIN_MS = 1000;

/**
 * Tell each event as it comes, until the page is left; a stream that ends is begun again behind the
 * last event that was read.
 *
 * @param {Object} query Of `/v1/events`.
 * @param {(event: Object) => void} told Given each event.
 * @param {{signal: AbortSignal}} page Ends it.
 */
export async function events(query, told, page) {
  let last = null;
  while (!page.signal.aborted) {
    const stream = await follow("/events", query, { signal: page.signal, last });
    for await (const message of messages(stream)) {
      last = message.id ?? last;
      if (message.data && message.event !== "end") told(JSON.parse(message.data));
    }
    await new Promise((done) => setTimeout(done, AGAIN_MS));
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
