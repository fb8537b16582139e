// Campaigns: one command for a group, for what a filter finds or for devices by name; those there are, and a new one.

import { get, send } from "../api.js";
import { catalogue, commandBody, commandForm } from "../command_form.js";
import { counted } from "../counts.js";
import { h } from "../elements.js";
import { filterFields, filterOf, split } from "../fleet_filter.js";
import { choice, field, filters, given, pages, table } from "../parts.js";
import { to } from "../place.js";
import { problem } from "../states.js";
import { by, state, when } from "../words.js";

const LIVE_MS = 5000;
const LIVE = { quiet: 15_000, gap: 1000 };
const FILTERS = ["name", "group", "state", "cursor"];
const KINDS = [["group", "a group"], ["filter", "what a filter finds"], ["devices", "devices by name"]];

export async function campaigns(page) {
  await page.who();
  const query = Object.fromEntries(FILTERS.map((name) => [name, page.query[name] ?? ""]));
  const seen = { said: null, once: crypto.randomUUID(), types: null, chosen: null, form: null, kind: page.query.for ?? "group" };
  catalogue(page).then((types) => { seen.types = types; seen.draw?.(); }, (error) => { seen.said = () => problem(error); seen.draw?.(); });
  page.lead = () => [
    h("details", { class: "part", open: Boolean(page.query.for) }, h("summary", {}, "Begin a campaign"), beginner(page, seen)),
    filters(page, field("of-name", "Command", { value: query.name, name: "name" }), field("of-group", "Group", { value: query.group, name: "group" }),
      choice("state", "State", [["", "any"], ...["created", "sending", "sent", "ended", "stopped", "canceling", "canceled"].map((one) => [one, one])], query.state)),
  ];
  await page.live(LIVE_MS, async () => {
    const { campaigns: found, cursor } = await get("/campaigns", { limit: 50, ...query }, page);
    seen.draw = () => page.show(
      seen.said,
      table("Campaigns", ["Command", "For", "State", "Devices", "Begun", "By"], found.map((one) => [
        h("a", { href: to("campaigns", one.id) }, one.name), forWhom(one), state(one.state), counted(one.counts), when(one.created_at), by(one.created_by),
      ]), cursor ? "None among these. There are more to look at: the next page." : "No campaign was begun, or none that you may see."),
      pages(query, cursor));
    seen.draw();
  }, { ...LIVE, heeds: ({ type }) => type.startsWith("command.") });
}

function forWhom({ group, devices }) {
  return group ? `group ${group}, ${devices}` : String(devices);
}

function beginner(page, seen) {
  if (!seen.types) return h("p", { class: "hint" }, "Asking which commands there are…");
  const form = commandForm(seen, "", () => seen.draw?.());
  if (!form) return h("p", { class: "hint" }, "This tenant has no command.");
  const submit = (event) => {
    event.preventDefault();
    begin(page, seen, form.type, event.target);
  };
  return h("form", { class: "form", onsubmit: submit, "data-key": `${form.type.name} ${seen.kind}` },
    choice("for", "For", KINDS, seen.kind, { onchange: ({ target }) => { seen.kind = target.value; seen.draw?.(); } }),
    seen.kind === "group" && field("to-group", "Group", { value: page.query.group ?? "", required: true, maxlength: 64 }),
    seen.kind === "devices" && field("to-devices", "Devices", { required: true }, "With commas between them, up to 500."),
    seen.kind === "filter" && filterFields(page.query),
    form.fields,
    field("to-window", "Minutes in which it is sent", { type: "number", min: 1, max: 10_080, value: 60 }, "Who has not had its turn by then gets none."),
    choice("to-offline", "A device that is away", [["queue", "gets it when it comes"], ["refuse", "is left out"]], "queue"),
    h("p", { class: "hint" }, "Each device is decided by the policies when its turn comes, for you as you are then: whoever is denied is left out, and named with the policy."),
    h("button", { class: "primary" }, "Begin"));
}

async function begin(page, seen, type, form) {
  const asked = given(form);
  const target = { group: () => ({ group: asked["to-group"].trim() }), devices: () => ({ devices: split(asked["to-devices"]) }), filter: () => ({ filter: filterOf(asked) }) }[seen.kind]();
  try {
    const body = { ...commandBody(seen, type, form), ...target, window_seconds: 60 * Number(asked["to-window"] ?? 60), if_offline: asked["to-offline"] };
    const made = await send("POST", "/campaigns", body, { once: seen.once });
    page.go(to("campaigns", made.id));
  } catch (error) {
    seen.said = error instanceof SyntaxError
      ? () => h("p", { class: "wrong", role: "alert" }, "What shall be JSON is none.")
      : () => problem(error);
    // Another attempt of what was surely refused is another campaign.
    if (error.status >= 400 && error.status < 500) seen.once = crypto.randomUUID();
    seen.draw?.();
  }
}
