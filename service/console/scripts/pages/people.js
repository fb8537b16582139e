// The people of the tenant: who there is, which groups each is in, and who may sign in.

import { get, may, send } from "../api.js";
import { h } from "../elements.js";
import { allowedButton, field, filters, given, pages, part, table } from "../parts.js";
import { asking } from "../place.js";
import { loading, problem } from "../states.js";
import { instant, state, when } from "../words.js";

export async function people(page) {
  const query = { email: page.query.email ?? "", cursor: page.query.cursor ?? "" };
  const seen = { said: null, manage: null, person: null, found: null };
  seen.draw = () => {
    page.lead = () => filters(page, field("email", "Address begins with", { type: "search", value: query.email }));
    page.show(seen.said, seen.person && chosen(page, seen),
      seen.found ? listing(page, seen, query) : loading(), seen.found && pages(query, seen.found.cursor),
      inviting(seen));
  };
  const [found, [manage]] = await Promise.all([get("/people", { limit: 50, ...query }, page), may([{ action: "ManagePeople" }], page)]);
  Object.assign(seen, { found, manage });
  if (page.query.person) seen.person = await get(`/people/${encodeURIComponent(page.query.person)}`, {}, page);
  seen.draw();
}

function listing(page, seen, query) {
  return table("People", ["Address", "Sign-in", "State", "Region", "Since"], seen.found.people.map((one) => [
    h("a", { href: asking(location.pathname, { ...query, person: one.id }) }, one.email),
    state(one.enabled ? "open" : "closed"), one.state.toLowerCase().replaceAll("_", " "), one.region ?? "–", when(one.created_at),
  ]), "Nobody's address begins so.");
}

function chosen(page, seen) {
  const { person } = seen;
  const change = (method, what, body, words) => async () => acted(seen, words, async () => {
    seen.person = await send(method, `/people/${encodeURIComponent(person.id)}/${what}`, body);
  });
  const regroup = (event) => {
    event.preventDefault();
    const groups = given(event.target).groups?.split(",").map((one) => one.trim()).filter(Boolean) ?? [];
    change("PUT", "groups", { groups }, "The groups are set; they count within five seconds.")();
  };
  return part(person.email,
    h("p", {}, "Since ", instant(person.created_at), ". ", person.enabled ? "May sign in." : "May not sign in."),
    h("form", { class: "form", onsubmit: regroup },
      field("groups", "Groups", { value: person.groups.join(", ") }, "With commas between them."),
      allowedButton("Set the groups", seen.manage, null)),
    h("p", { class: "row" },
      person.enabled
        ? allowedButton("Close the sign-in", seen.manage, change("POST", "disable", undefined, "The sign-in is closed."))
        : allowedButton("Open the sign-in", seen.manage, change("POST", "enable", undefined, "The sign-in is open.")),
      seen.manage?.allowed && h("button", { onclick: change("POST", "sign-out", undefined, "Signed out everywhere.") }, "Sign out everywhere")));
}

function inviting(seen) {
  const submit = (event) => {
    event.preventDefault();
    const asked = given(event.target);
    const groups = asked["new-groups"]?.split(",").map((one) => one.trim()).filter(Boolean) ?? [];
    acted(seen, `${asked["new-email"]} is sent a password for the first sign-in.`, async () => {
      await send("POST", "/people", { email: asked["new-email"], groups, region: asked["new-region"] });
    });
  };
  return h("form", { class: "part form", onsubmit: submit }, h("h2", {}, "Invite somebody"),
    field("new-email", "Address", { type: "email", required: true }), field("new-groups", "Groups", {}, "With commas between them."),
    field("new-region", "Region"), allowedButton("Invite", seen.manage, null, { class: "primary" }));
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
