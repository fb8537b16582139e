// What a page shows when it has nothing else to show: loading, nothing, a refusal, no network.

import { h } from "./elements.js";
import { Offline, Refused } from "./api.js";
import { begin, SessionEnded } from "./session.js";
import { tenant } from "./place.js";
import { actionWords } from "./words.js";

const MARK = { denied: "Access denied", failed: "That did not work", offline: "No connection" };

/** While something is asked for: as high as what comes, so that nothing jumps. */
export function loading(rows = 6) {
  return h("div", { class: "loading", role: "status", "aria-label": "Loading" },
    Array.from({ length: rows }, () => h("span", { class: "bone" })));
}

/** There is nothing; and what one may do about it. */
export function nothing(words, ...more) {
  return h("div", { class: "nothing" }, h("p", {}, words), more);
}

/** Why an answer of `permissions/check` is no, as a sentence. */
export function refusalWords(answer) {
  return answer.explanation ? `Refused: ${plain(answer.explanation)}.` : "Refused.";
}

/** A problem as a page or a part of one shows it. */
export function problem(error, { again = null } = {}) {
  if (error instanceof SessionEnded) return ended();
  if (error instanceof Offline) {
    return notice("offline", MARK.offline, [
      h("p", {}, "The service cannot be reached from here. What you see may be old; this page asks again by itself."),
      again && h("button", { onclick: again }, "Try again"),
    ]);
  }
  if (!(error instanceof Refused)) {
    return notice("failed", MARK.failed, h("p", {}, "The console has met something that it does not know. Reload the page."));
  }
  if (error.kind === "permission-denied") return denied(error.members);
  if (error.kind === "tenant-suspended") return suspended();
  if (error.kind === "not-found") return notice("failed", "Not found", h("p", {}, `${sentence(error.message)} Or you may not see it.`));
  const fields = (error.members.errors ?? []).map(({ field, problem: words }) => h("li", {}, h("b", {}, field), " ", words));
  return notice("failed", error.status === 429 ? "Too many requests" : MARK.failed, [
    h("p", {}, sentence(error.message)),
    fields.length > 0 && h("ul", {}, fields),
    again && h("button", { onclick: again }, "Try again"),
  ]);
}

/** Access denied, in words: what, and by which policy. */
export function denied({ action, policies = [], detail }) {
  const named = policies.map((name) => h("code", {}, name));
  return notice("denied", MARK.denied, [
    h("p", {}, action ? `You may not ${actionWords(action)} here.` : sentence(detail ?? "You may not do this.")),
    named.length > 0
      ? h("p", {}, `Refused by the ${named.length > 1 ? "policies" : "policy"} `, named.flatMap((one, at) => (at ? [", ", one] : [one])), ".")
      : h("p", {}, "No policy of your organisation allows it. Who manages people can give you a group or a grant that does."),
  ]);
}

/** Nobody is signed in any more. */
export function ended() {
  return notice("ended", "Your session has ended", [
    h("p", {}, "Sign in again to go on where you are."),
    h("button", { class: "primary", onclick: begin }, "Sign in again"),
  ]);
}

function suspended() {
  return notice("denied", "Suspended", h("p", {},
    `The tenant ${tenant} is suspended: nothing can be seen or done until its operator lifts that.`));
}

/** A part of a page that says something. */
export function notice(kind, title, content) {
  return h("section", { class: `notice ${kind}`, role: kind === "ended" ? "status" : "alert" }, h("h2", {}, title), content);
}

function plain(text) {
  return text.replaceAll("`", "");
}

function sentence(text) {
  const words = plain(text);
  return words.charAt(0).toUpperCase() + words.slice(1) + (/[.!?]$/.test(words) ? "" : ".");
}
