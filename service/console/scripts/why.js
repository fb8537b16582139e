// "Why?" on an answer of the policies, and "What if?": in their own words, from the API alone.

import { send } from "./api.js";
import { h } from "./elements.js";
import { listed } from "./parts.js";
import { asking, to } from "./place.js";
import { actionWords, state } from "./words.js";

// What an explanation calls who can make a condition come out otherwise; else it is an action.
const CHANGES = new Map([["caller", "by what is asked"], ["time", "by itself, in time"], ["operator", "by the operator"]]);

/** The way to the explanation of a question, as `permissions/check` takes it. */
export function why(page, question, words = "Why?") {
  const { emergency, ...rest } = question;
  return h("a", { class: "why", href: asking(to("permissions", "why"), { ...rest, reason: emergency?.reason }) }, words);
}

/** The policies that decided, and permits that nearly said yes: each with what its conditions met. */
export function explained(considered) {
  return considered.explained.map((one) => h("section", { class: "policy" },
    h("h3", {}, h("code", {}, one.policy), " ", h("span", { class: "hint" }, verdict(one))),
    h("ul", { class: "conditions" }, one.conditions.map((condition) => h("li", {},
      state(condition.holds ? "holds" : "does not hold"), " ", condition.words || h("code", {}, condition.condition),
      values(condition.values),
      condition.may_change.length > 0 && h("span", { class: "hint" }, ` Comes out otherwise ${condition.may_change.map(changed).join(", or ")}.`))))));
}

/** What the explanation of the API says, as what makes a part of a page. */
export async function explanation(question, options = {}) {
  const told = await send("POST", "/permissions/explain", question, options);
  const changers = Object.entries(told.changers);
  return () => [
    h("p", {}, state(told.allowed ? "allowed" : "denied"), " ", sentence(told)),
    explained(told),
    changers.length > 0 && h("ul", {}, changers.map(([action, groups]) => h("li", {}, `To ${actionWords(action)}: ${listed(groups, "nobody")}`))),
  ];
}

function changed(name) {
  return CHANGES.get(name) ?? `by who may ${actionWords(name)}`;
}

function sentence({ allowed, policies, explanation: words }) {
  if (allowed) return `by ${listed(policies)}`;
  return words ? words.replaceAll("`", "") : "no policy allows it";
}

function verdict({ effect, applies, changes_if: changes }) {
  const does = effect === "permit" ? (applies ? "allows it" : "would allow it") : applies ? "forbids it" : "would forbid it";
  return `${does}; otherwise if ${changes === "one" ? "one of these comes" : "all of these come"} out otherwise`;
}

function values(given) {
  const some = Object.entries(given);
  return some.length > 0 && h("span", { class: "hint" }, " ", some.map(([name, value], at) => [at ? ", " : "(", h("code", {}, name), ` is ${value ?? "not there"}`]), ")");
}
