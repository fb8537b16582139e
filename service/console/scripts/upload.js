// Uploads a file in parts: each is digested, sent to the bucket by a URL that takes these bytes alone.
//
// An upload that was cut off goes on when the same file is chosen again, in another tab or after a
// reload too: name, size and digest give the same version, and which of its parts the bucket took
// stands in this browser.

import { send } from "./api.js";
import { forgetUpload, keepUpload, keptUpload } from "./kept_uploads.js";

const PIECE = 8 * 1024 * 1024;
const TRIES = 4;

/**
 * Upload a file, and say when all of it is there.
 *
 * @param {File} file What the person chose.
 * @param {string} name As devices get it.
 * @param {(share: number, words: string) => void} told How far it is, 0 to 1.
 * @param {{signal: AbortSignal}} options Ends it.
 * @returns {Promise<Object>} The version, which is then verified.
 */
export async function upload(file, name, told, { signal }) {
  told(0, "Reading the file");
  const sha256 = await digestOf(file, (share) => told(share * 0.2, "Reading the file"));
  const begun = await send("POST", "/files", { name, size: file.size, sha256 },
    { once: `console-${sha256.slice(0, 32)}-${await shortOf(name)}`, signal });
  if (begun.state !== "uploading") return begun;
  const about = { id: begun.id, name, file: file.name, size: file.size, parts: begun.parts };
  for (let attempt = 1; ; attempt += 1) {
    const there = new Set(keptUpload(begun.id)?.there ?? []);
    keepUpload({ ...about, there: [...there] });
    for (let number = 1; number <= begun.parts; number += 1) {
      if (there.has(number)) continue;
      const piece = file.slice((number - 1) * begun.part_size, number * begun.part_size);
      await sent(begun.id, number, piece, signal, (share) =>
        told(0.2 + (0.8 * (number - 1 + share)) / begun.parts, `Sending part ${number} of ${begun.parts}`));
      there.add(number);
      keepUpload({ ...about, there: [...there] });
    }
    told(1, "The whole is verified");
    forgetUpload(begun.id);
    try {
      return await send("POST", `/files/${begun.id}/complete`, undefined, { signal });
    } catch (error) {
      // What this browser holds for sent has not come after all: all of it again, once.
      if (error.kind !== "conflict" || attempt > 1) throw error;
    }
  }
}

async function sent(id, number, piece, signal, told) {
  const sha256 = hex(await crypto.subtle.digest("SHA-256", await piece.arrayBuffer()));
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { parts: [to] } = await send("POST", `/files/${id}/parts`, { parts: [{ number, sha256 }] }, { signal });
      await put(to, piece, signal, told);
      return;
    } catch (error) {
      if (signal.aborted || attempt === TRIES || !(error instanceof TypeError)) throw error;
      await new Promise((done) => setTimeout(done, 500 * 2 ** attempt));
    }
  }
}

// Of what is sent, only this old way tells how far it is.
function put({ url, headers }, piece, signal, told) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open("PUT", url);
    for (const [name, text] of Object.entries(headers)) request.setRequestHeader(name, text);
    request.upload.onprogress = ({ loaded, total }) => told(total ? loaded / total : 0);
    request.onload = () => (request.status < 300 ? done() : failed(new TypeError(`the bucket answered ${request.status}`)));
    request.onerror = () => failed(new TypeError("the bucket cannot be reached"));
    request.onabort = () => failed(new DOMException("left", "AbortError"));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(piece);
  });
}

/** SHA-256 of a whole file, piece by piece, so that a large one is never in memory at once. */
async function digestOf(file, told) {
  if (file.size <= PIECE) return hex(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  const { Sha256 } = await import("./sha256.js");
  const whole = new Sha256();
  for (let at = 0; at < file.size; at += PIECE) {
    whole.add(new Uint8Array(await file.slice(at, at + PIECE).arrayBuffer()));
    told(at / file.size);
    await new Promise((done) => setTimeout(done));
  }
  return hex(whole.end());
}

async function shortOf(text) {
  return hex(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))).slice(0, 16);
}

function hex(bytes) {
  return Array.from(new Uint8Array(bytes), (one) => one.toString(16).padStart(2, "0")).join("");
}
