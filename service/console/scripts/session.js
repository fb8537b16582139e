// Sign-in by authorization code with PKCE (RFC 7636), and the tokens of this browser's tabs.
//
// Tokens are in memory and in the tab's sessionStorage, nowhere else. A new tab asks the others of
// the same tenant for theirs; who signs out in one is signed out in all.

import { base, callback, client, signIn, tenant } from "./place.js";

const KEPT = `session.${tenant}`;
const PENDING = `pending.${tenant}`;
const EARLY_MS = 60_000; // before a token ends, it is refreshed
const ASKED_MS = 150; // within which another tab answers
const tabs = new BroadcastChannel(`session.${tenant}`);
const listeners = new Set();
const renewers = new Set();
let session = read(KEPT);
let refreshing = null;

/** The session has ended, and only the person can begin another. */
export class SessionEnded extends Error {}

tabs.onmessage = ({ data }) => {
  if (data.kind === "asked" && session) tabs.postMessage({ kind: "told", session });
  if (data.kind === "told") keep(data.session);
  if (data.kind === "ended") {
    forget();
    listeners.forEach((listener) => listener());
  }
};

/** Call this when another tab has signed out. */
export function onEnded(listener) {
  listeners.add(listener);
}

/** Call this when a token that was refused has been renewed: the person may be in other groups. */
export function onRenewed(listener) {
  renewers.add(listener);
}

/** Whether somebody is signed in, in this tab or in another one. */
export async function isOpen() {
  if (session) return true;
  tabs.postMessage({ kind: "asked" });
  const until = performance.now() + ASKED_MS;
  while (!session && performance.now() < until) await new Promise((done) => setTimeout(done, 10));
  return session !== null;
}

/** Go to the tenant's sign-in page, and come back to this page. */
export async function begin() {
  const [verifier, state, nonce] = [random(), random(), random()];
  const page = location.pathname + location.search;
  sessionStorage.setItem(PENDING, JSON.stringify({ verifier, state, nonce, page }));
  const asked = new URLSearchParams({
    response_type: "code",
    client_id: client,
    redirect_uri: callback,
    scope: "openid email profile",
    state,
    nonce,
    code_challenge: await challengeOf(verifier),
    code_challenge_method: "S256",
  });
  location.assign(`${signIn}/oauth2/authorize?${asked}`);
}

/**
 * Take the code that the sign-in page has sent back.
 *
 * @returns {Promise<string>} The page on which the sign-in began.
 */
export async function finish() {
  const answer = new URLSearchParams(location.search);
  const pending = read(PENDING);
  sessionStorage.removeItem(PENDING);
  // Fail closed: an answer to a question of somebody else signs nobody in.
  if (!pending || answer.get("state") !== pending.state || !answer.get("code")) {
    throw new SessionEnded(answer.get("error_description") ?? "this sign-in was not begun here");
  }
  const tokens = await tokensFor({
    grant_type: "authorization_code",
    code: answer.get("code"),
    redirect_uri: callback,
    code_verifier: pending.verifier,
  });
  if (claimsOf(tokens.id_token).nonce !== pending.nonce) {
    throw new SessionEnded("the sign-in page answered another question");
  }
  keep(sessionOf(tokens, tokens.refresh_token));
  return pending.page.startsWith(base) ? pending.page : base;
}

/**
 * A token that counts for a moment at least.
 *
 * @param {{anew: boolean}} [options] `anew`: the one of now was refused.
 */
export async function token({ anew = false } = {}) {
  if (!session) throw new SessionEnded("nobody is signed in");
  if (anew || session.until - Date.now() < EARLY_MS) {
    refreshing ??= refreshed().finally(() => { refreshing = null; });
    await refreshing;
    if (anew) renewers.forEach((listener) => listener());
  }
  return session.token;
}

/** Who is signed in, as the API calls a principal: the pool and the subject. */
export function myself() {
  if (!session) return null;
  const { iss, sub } = claimsOf(session.token);
  return `${iss.split("/").at(-1)}|${sub}`;
}

/** Forget the tokens in every tab; groups come anew at the next sign-in. */
export function drop() {
  forget();
  tabs.postMessage({ kind: "ended" });
}

/** Sign out: here, in every tab, and on the sign-in page; the refresh token counts no more. */
export async function signOut() {
  const refresh = session?.refresh;
  drop();
  if (refresh) {
    const body = new URLSearchParams({ token: refresh, client_id: client });
    await fetch(`${signIn}/oauth2/revoke`, { method: "POST", body }).catch(() => null);
  }
  const asked = new URLSearchParams({ client_id: client, logout_uri: location.origin + base });
  location.assign(`${signIn}/logout?${asked}`);
}

async function refreshed() {
  try {
    const tokens = await tokensFor({ grant_type: "refresh_token", refresh_token: session.refresh });
    keep(sessionOf(tokens, tokens.refresh_token ?? session.refresh));
    tabs.postMessage({ kind: "told", session });
  } catch (error) {
    if (error instanceof SessionEnded) drop();
    throw error;
  }
}

async function tokensFor(form) {
  const body = new URLSearchParams({ client_id: client, ...form });
  const answer = await fetch(`${signIn}/oauth2/token`, { method: "POST", body });
  if (answer.status >= 400 && answer.status < 500) {
    throw new SessionEnded("the sign-in page gives no token any more");
  }
  if (!answer.ok) throw new TypeError("the sign-in page does not answer");
  return answer.json();
}

function sessionOf(tokens, refresh) {
  return { token: tokens.id_token, refresh, until: claimsOf(tokens.id_token).exp * 1000 };
}

/** What a token says of itself: nothing is decided by it here, the API verifies it. */
function claimsOf(token) {
  const bytes = atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(bytes, (one) => one.charCodeAt(0))));
}

function keep(found) {
  session = found;
  sessionStorage.setItem(KEPT, JSON.stringify(found));
}

function forget() {
  session = null;
  sessionStorage.removeItem(KEPT);
}

function read(name) {
  try {
    return JSON.parse(sessionStorage.getItem(name));
  } catch {
    return null;
  }
}

function random() {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

async function challengeOf(verifier) {
  const bytes = new TextEncoder().encode(verifier);
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}

function base64url(bytes) {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
