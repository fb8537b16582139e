// Credentials of machines: make one, give it a second secret, take one away, end it. A secret is told once.

import { get, may, send } from "../api.js";
import { h } from "../elements.js";
import { allowedButton, facts, field, given, listed, pages, part, table } from "../parts.js";
import { asking } from "../place.js";
import { problem } from "../states.js";
import { by, instant, state, when } from "../words.js";

const SCOPES = [["view", "see devices"], ["operate", "send commands"], ["update", "deliver files"]];

export async function machines(page) {
  const query = { cursor: page.query.cursor ?? "" };
  const seen = { said: null, told: null, manage: null, found: null };
  // Nothing before the list is there: what is made goes into it.
  seen.draw = () => seen.found && page.show(seen.said, seen.told && secret(seen),
    listing(seen), pages(query, seen.found.cursor), chosen(page, seen), maker(seen));
  may([{ action: "ManageMachines" }], page).then(([manage]) => { seen.manage = manage; seen.draw(); }, () => null);
  // Not again and again: each look is audited.
  seen.found = await get("/machines", { limit: 50, ...query }, page);
  seen.draw();
}

function listing(seen) {
  return table("Machines", ["Machine", "State", "May", "Secrets", "Last used", "For", "Made by"], seen.found.machines.map((one) => [
    h("a", { href: asking(location.pathname, { machine: one.id }) }, one.id), state(one.state), listed(one.scopes), one.secrets.length,
    one.last_used_at ? when(one.last_used_at) : "never", one.description || "–", by(one.created_by),
  ]), "No machine was made here. Those of the tenant's file are not listed.");
}

function chosen(page, seen) {
  const machine = seen.found.machines.find(({ id }) => id === page.query.machine);
  if (!machine) return null;
  const path = `/machines/${encodeURIComponent(machine.id)}`;
  const changed = (words, act) => acted(seen, words, async () => { Object.assign(machine, await act()); });
  const another = (event) => {
    event.preventDefault();
    const body = { expires_at: instantOf(given(event.target).second_ends) };
    acted(seen, "The machine has a second secret; the first one goes on.", async () => {
      seen.told = { machine: machine.id, ...await send("POST", `${path}/secrets`, body) };
      Object.assign(machine, await get(path));
    });
  };
  const isOver = machine.state === "revoked" || machine.state === "revoking";
  return part(machine.id,
    facts([["Client", h("code", {}, machine.client_id ?? "–")], ["May", listed(machine.scopes)], ["Made", instant(machine.created_at)], ["Last used", instant(machine.last_used_at)]]),
    table("Its secrets", ["Secret", "Made", "By", "Ends", ""], machine.secrets.map((one) => [
      h("code", {}, one.id), instant(one.created_at), by(one.created_by), one.expires_at ? instant(one.expires_at) : "by itself never",
      machine.secrets.length > 1 && allowedButton("Take away", seen.manage, () => changed("That secret counts no more.", () => send("DELETE", `${path}/secrets/${encodeURIComponent(one.id)}`))),
    ]), "It has no secret."),
    !isOver && h("form", { class: "form", onsubmit: another },
      field("second_ends", "The second secret ends", { type: "datetime-local" }, "Left empty, it has no end."),
      allowedButton("Make a second secret", seen.manage, null)),
    !isOver && h("p", { class: "row" }, allowedButton(`End ${machine.id} for good`, seen.manage, () => ending(seen, () =>
      changed("It is ended; its tokens are refused within five seconds.", () => send("DELETE", path))))));
}

/** Asked a second time, since it is for good. */
function ending(seen, act) {
  seen.said = () => h("section", { class: "notice denied", role: "alert" },
    h("h2", {}, "End it for good?"), h("p", {}, "Whatever runs with its secrets is refused."),
    h("span", { class: "row" }, h("button", { onclick: act }, "End it"),
      h("button", { class: "quiet", onclick: () => { seen.said = null; seen.draw(); } }, "Leave it")));
  seen.draw();
}

function maker(seen) {
  const submit = (event) => {
    event.preventDefault();
    const form = event.target;
    const asked = given(form);
    const scopes = SCOPES.map(([name]) => name).filter((name) => asked[`scope-${name}`]);
    const body = { id: asked.id.trim(), scopes, description: asked.description ?? "", expires_at: instantOf(asked.ends) };
    acted(seen, "The machine is made.", async () => {
      const made = await send("POST", "/machines", body);
      seen.told = { machine: made.machine.id, client: made.machine.client_id, url: made.token_url, ...made.secret };
      seen.found.machines = [made.machine, ...seen.found.machines];
      form.reset();
    });
  };
  return h("form", { class: "part form", onsubmit: submit }, h("h2", {}, "Make a machine"),
    field("id", "Name", { required: true, maxlength: 64 }), field("description", "For", { maxlength: 200 }),
    h("fieldset", {}, h("legend", {}, "What it may"), SCOPES.map(([name, words]) =>
      h("label", { class: "check" }, h("input", { type: "checkbox", name: `scope-${name}`, value: "1" }), `${name}: ${words}`))),
    field("ends", "Its secret ends", { type: "datetime-local" }, "Left empty, it has no end."),
    allowedButton("Make it", seen.manage, null, { class: "primary" }));
}

/** The only time that it is shown: it stands in this page's memory until the page is left. */
function secret(seen) {
  const { told } = seen;
  return h("section", { class: "notice told", role: "status" }, h("h2", {}, `The secret of ${told.machine}`),
    h("p", {}, "It is told this once: copy it now to where the machine reads it."),
    facts([...(told.client ? [["Client", h("code", {}, told.client)], ["Tokens", h("code", {}, told.url)]] : []),
      ["Secret", h("code", { class: "long" }, told.secret)], ["Ends", told.expires_at ? instant(told.expires_at) : "never by itself"]]),
    h("span", { class: "row" },
      h("button", { onclick: () => navigator.clipboard?.writeText(told.secret) }, "Copy the secret"),
      h("button", { class: "quiet", onclick: () => { seen.told = null; seen.draw(); } }, "I have it")));
}

function instantOf(local) {
  return local ? new Date(local).toISOString() : null;
}

async function acted(seen, words, act) {
  try {
    await act();
    seen.said = () => h("p", { role: "status" }, words);
  } catch (error) {
    seen.said = () => problem(error);
  }
  seen.draw();
}
