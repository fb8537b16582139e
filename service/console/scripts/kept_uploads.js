// Uploads that this browser has begun and not ended, so that choosing the same file again goes on with it.

import { tenant } from "./place.js";

const PREFIX = `upload.${tenant}.`;
const GONE_MS = 24 * 3600 * 1000; // a repeated request is known for a day; then it is another upload

/** What is kept of one: `{id, name, file, size, parts, there}`; `there` are numbers of its parts. */
export function keptUpload(id) {
  return read(PREFIX + id);
}

/** Keep how far one is. */
export function keepUpload(one) {
  localStorage.setItem(PREFIX + one.id, JSON.stringify({ ...one, at: Date.now() }));
}

/** It is there, or nobody goes on with it. */
export function forgetUpload(id) {
  localStorage.removeItem(PREFIX + id);
}

/** Those that were cut off; old ones are forgotten. */
export function unfinishedUploads() {
  const found = Object.keys(localStorage).filter((key) => key.startsWith(PREFIX)).map((key) => read(key) ?? { id: key.slice(PREFIX.length) });
  for (const { id, at } of found) if (!(Date.now() - at < GONE_MS)) forgetUpload(id);
  return found.filter(({ at }) => Date.now() - at < GONE_MS);
}

function read(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
}
