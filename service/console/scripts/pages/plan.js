// A download to many, planned: what would become of each device, how it goes in waves, and its start.

import { get, send } from "../api.js";
import { h } from "../elements.js";
import { facts, listed, table } from "../parts.js";
import { to } from "../place.js";
import { notice, problem } from "../states.js";
import { state, until } from "../words.js";

/** The fields of how it goes; all may be left as they are. */
export function shapeFields(field, words) {
  return h("details", {}, h("summary", {}, words),
    field("waves", "First waves", { placeholder: "5, 10 %, 50 %" }, "Numbers of devices or shares, with commas between them; what is left is the last wave."),
    field("pause", "Minutes between two waves", { type: "number", min: 0, max: 10_080, value: 0 }),
    field("abort", "Stop when so many percent failed", { type: "number", min: 1, max: 100, value: 50 }),
    field("window", "Only between", { placeholder: "22:00-04:00", maxlength: 11 }, `By the clock of your zone now, ${offset()}.`));
}

/** Of a form with those fields, what the API is asked. */
export function planBody({ artifact, waves = "", pause = "0", abort = "50", window = "", reason = "" }) {
  return {
    artifact,
    waves: waves.split(",").map((one) => one.trim()).filter(Boolean).map((one) =>
      (one.endsWith("%") ? { percent: Number.parseInt(one, 10) } : { devices: Number.parseInt(one, 10) })),
    pause_minutes: Number(pause), abort_percent: Number(abort),
    ...(window ? { window, utc_offset: offset() } : {}),
    ...(reason.trim() ? { emergency: { reason: reason.trim() } } : {}),
  };
}

/** The plan, and its start; `seen.group` is the API's answer. */
export function plannedGroup(page, seen, draw) {
  const plan = seen.group;
  const { allowed = 0, denied = 0, skipped = 0 } = plan.counts;
  return h("section", { class: "part" }, h("h2", { id: "plan", tabindex: "-1" }, "Plan"),
    allowed === 0 && (denied > 0
      ? notice("denied", "Access denied", h("p", {}, `You may not download ${plan.artifact} to any of these devices now.`))
      : notice("failed", "Nobody gets it", h("p", {}, "No device is there for it, or each is passed by."))),
    facts([
      ["Gets it", `${allowed} of ${allowed + denied + skipped}`],
      ["Of the fleet", share(plan.reach.share_of_fleet, plan.reach.targets)],
      ["Of the critical devices", share(plan.reach.share_of_critical, plan.reach.critical_targets)],
      ["Waves", plan.waves.join(", then ") || "–"],
      ["Second person", plan.needs_approval ? "has to approve it" : "not asked for"],
      ["Good until", until(plan.expires_at)],
    ]),
    reasons("Refused by", plan.denied_by), reasons("Passed by", plan.skipped_for),
    plan.hidden > 0 && h("p", { class: "why" }, `${plan.hidden} of them you may not view.`),
    allowed > 0 && h("p", {}, h("button", { class: "primary", disabled: seen.asking, onclick: () => start(page, seen, draw) },
      `Start for ${allowed} of ${allowed + denied + skipped}`)),
    table("What becomes of each device", ["Device", "Verdict", "Why"], plan.devices.map((one) => [
      h("a", { href: to("devices", one.device) }, one.device), state(one.verdict), one.reason ?? listed(one.policies),
    ]), "It has no device that you may view."),
    plan.cursor && h("p", {}, h("button", { onclick: () => more(page, seen, draw) }, "More devices")));
}

function reasons(words, counts) {
  const some = Object.entries(counts).filter(([, count]) => count > 0);
  return some.length > 0 && h("p", {}, `${words} `, some.map(([name, count], at) => [at ? ", " : "", h("code", {}, name), ` ${count}`]));
}

function share(percent, count) {
  return percent === null ? "unknown" : `${count} (${percent} %)`;
}

async function more(page, seen, draw) {
  try {
    const next = await get(`/downloads/plans/${encodeURIComponent(seen.group.id)}`, { limit: 100, cursor: seen.group.cursor }, page);
    seen.group = { ...next, devices: [...seen.group.devices, ...next.devices] };
  } catch (error) {
    seen.said = () => problem(error);
  }
  draw();
}

async function start(page, seen, draw) {
  seen.asking = true;
  draw();
  try {
    const made = await send("POST", "/downloads", { plan: seen.group.id }, { once: seen.group.id });
    page.go(to("downloads", made.id));
    return;
  } catch (error) {
    const stale = error.kind === "plan-stale";
    if (stale) seen.group = null;
    seen.said = () => [problem(error), stale && h("p", {}, "Something has changed since it was planned: press Download File to see the new plan.")];
  }
  seen.asking = false;
  draw();
}

/** Of the person's zone now, as the API takes it: `+01:00`. */
export function offset() {
  const minutes = -new Date().getTimezoneOffset();
  const two = (number) => String(Math.floor(Math.abs(number))).padStart(2, "0");
  return `${minutes < 0 ? "-" : "+"}${two(minutes / 60)}:${two(Math.abs(minutes) % 60)}`;
}
