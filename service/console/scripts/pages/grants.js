// Grants for a time: who has which, for how long still; give one, and end one.

import { get, may, send } from "../api.js";
import { h } from "../elements.js";
import { allowedButton, choice, field, given, pages, table } from "../parts.js";
import { to } from "../place.js";
import { problem } from "../states.js";
import { by, state, until, when } from "../words.js";

const STANDS = "active";

export async function grants(page) {
  await page.who();
  const query = { cursor: page.query.cursor ?? "" };
  const seen = { said: null, once: crypto.randomUUID(), answers: new Map() };
  seen.draw = () => page.show(seen.said, seen.found && listing(page, seen), seen.found && pages(query, seen.found.cursor), giver(page, seen));
  // Not again and again: each look is audited.
  seen.load = async () => {
    seen.found = await get("/grants", { limit: 50, ...query }, page);
    await knowWhichMayEnd(seen, page);
  };
  await seen.load();
  seen.draw();
}

/** Asked once of each: the policies of revoking hang on where it was given. */
async function knowWhichMayEnd(seen, page) {
  const asked = seen.found.grants.filter((one) => one.state === STANDS && !seen.answers.has(one.id));
  if (asked.length === 0) return;
  const answers = await may(asked.map(({ device, group }) => ({ action: "RevokeGrant", ...(device ? { device } : { group }) })), page);
  asked.forEach((one, at) => seen.answers.set(one.id, answers[at]));
}

function listing(page, seen) {
  return table("Grants", ["Person", "May", "On", "State", "Ends", "Reason", "Given by", ""], seen.found.grants.map((one) => [
    one.email, one.template, one.device ? h("a", { href: to("devices", one.device) }, one.device) : `group ${one.group}`,
    state(one.state), one.state === STANDS ? until(one.until) : when(one.over_at ?? one.until),
    one.reason, by(one.given_by),
    one.state === STANDS && allowedButton("Revoke", seen.answers.get(one.id), () => revoke(one, seen)),
  ]), "No grant was given here. Those of the tenant's file are not listed: its stack gives and takes them.");
}

function giver(page, seen) {
  const submit = (event) => {
    event.preventDefault();
    give(given(event.target), event.target, seen);
  };
  return h("form", { class: "part form", onsubmit: submit }, h("h2", {}, "Give a grant"),
    choice("template", "What", page.me.grant_templates.map((name) => [name, name.replaceAll("-", " ")])),
    field("person", "To whom", { required: true, placeholder: "an address of the tenant" }),
    choice("which", "Where", [["device", "on a device"], ["group", "on a group of devices"]]),
    field("target", "Its name", { required: true, maxlength: 64 }),
    field("ends", "Until", { type: "datetime-local", required: true }, `In your zone, ${Intl.DateTimeFormat().resolvedOptions().timeZone}. It ends by itself.`),
    field("reason", "Reason", { required: true, maxlength: 500 }, "It is audited."),
    h("button", { class: "primary", disabled: page.me.grant_templates.length === 0 }, "Give"));
}

async function give({ template, person, which, target, ends, reason }, form, seen) {
  const body = { template, person, [which]: target.trim(), until: new Date(ends).toISOString(), reason };
  await acted(seen, async () => {
    const made = await send("POST", "/grants", body, { once: seen.once });
    form.reset();
    await seen.load();
    return `${made.email} has it in some seconds, until it ends by itself.`;
  });
  // The next one is another grant, and so is another attempt of what was refused.
  seen.once = crypto.randomUUID();
}

function revoke(grant, seen) {
  return acted(seen, async () => {
    const ended = await send("DELETE", `/grants/${encodeURIComponent(grant.id)}`);
    Object.assign(grant, ended);
    return `${grant.email} has it no more: changes are refused at once, reads within five seconds.`;
  });
}

async function acted(seen, act) {
  try {
    const words = await act();
    seen.said = () => h("p", { role: "status" }, words);
  } catch (error) {
    seen.said = () => problem(error);
  }
  seen.draw();
}
