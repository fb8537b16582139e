// Why the policies answer a question as they do, and what they would say if something were otherwise.

import { send } from "../api.js";
import { h } from "../elements.js";
import { choice, facts, field, filters, given, listed, part } from "../parts.js";
import { problem } from "../states.js";
import { actionWords, state } from "../words.js";
import { explained, explanation } from "../why.js";

const ASKED = ["action", "command", "device", "group", "artifact", "person"];

export async function whyPage(page) {
  await page.who();
  const { reason, ...query } = page.query;
  const question = Object.fromEntries(ASKED.filter((name) => query[name]).map((name) => [name, query[name]]));
  const { person, ...plain } = question;
  if (reason) Object.assign(plain, { emergency: { reason } });
  const seen = { why: null, then: null };
  page.lead = () => filters(page,
    field("action", "Action", { value: query.action ?? "", placeholder: "DownloadFile" }), field("command", "or command", { value: query.command ?? "" }),
    field("device", "Device", { value: query.device ?? "" }), field("group", "or group", { value: query.group ?? "" }),
    field("artifact", "File", { value: query.artifact ?? "" }), field("person", "Person (you, if empty)", { value: query.person ?? "" }));
  seen.draw = () => page.show(
    part(titleOf(question), seen.why),
    page.me.may?.includes("ViewPeople") && simulator(page, seen, plain, person),
    seen.then && part("What if", seen.then));
  if (!question.action && !question.command) {
    page.show(h("p", {}, "Name an action or a command, and what it is asked of."));
    return;
  }
  try {
    seen.why = await explanation(person ? { ...plain, person } : plain, page);
  } catch (error) {
    if (page.signal.aborted) throw error;
    seen.why = () => problem(error, { again: page.again });
  }
  seen.draw();
}

function titleOf({ action, command, device, group, person }) {
  const what = command ? `send ${command}` : actionWords(action ?? "act");
  const where = device ? ` on ${device}` : group ? ` on the group ${group}` : "";
  return person ? `Why ${person} may or may not ${what}${where}` : `Why you may or may not ${what}${where}`;
}

function simulator(page, seen, question, person) {
  const submit = (event) => {
    event.preventDefault();
    simulate(page, seen, question, person, given(event.target));
  };
  return h("form", { class: "part form", onsubmit: submit }, h("h2", {}, "What if?"),
    h("p", { class: "hint" }, "What is left empty is as it is. Nothing is changed, and nothing is done."),
    choice("who", "Who asks", [["same", person ? person : "you"], ["persona", "somebody in these groups"]], "same"),
    field("groups", "Groups", { placeholder: "operators, technicians" }, "With commas between them."), field("region", "Region of the person"),
    field("at", "At", { type: "datetime-local" }),
    field("facts", "Facts of the device", { placeholder: "criticality=low, kind=press" }, "name=value, with commas between them; without a value: as if it had none."),
    field("tags", "Tags of the device", { placeholder: "building=A" }), field("device-groups", "Groups of the device", {}, "All that it is in."),
    field("without", "Without the policies", { placeholder: "operators-view-only" }, "With commas between them."),
    h("div", { class: "field" }, h("label", { for: "added" }, "With this policy"),
      h("textarea", { id: "added", name: "added", rows: 4, spellcheck: "false", "aria-describedby": "added-hint" }),
      h("p", { class: "hint", id: "added-hint" }, "In Cedar. It is checked as the tenant's own are, and forgotten.")),
    h("button", { class: "primary" }, "Ask"));
}

async function simulate(page, seen, question, person, asked) {
  const body = { question, ...(asked.who === "persona" ? { persona: { groups: names(asked.groups), region: asked.region ?? null } } : person ? { person } : {}) };
  if (asked.at) body.at = new Date(asked.at).toISOString();
  if (asked.facts || asked.tags || asked["device-groups"]) {
    body.device_state = { facts: pairs(asked.facts), tags: pairs(asked.tags), groups: asked["device-groups"] ? names(asked["device-groups"]) : null };
  }
  if (asked.added || asked.without) {
    body.policies = { added: asked.added ? { proposed: asked.added } : {}, without: names(asked.without) };
  }
  try {
    const { now, then, flips } = await send("POST", "/permissions/simulate", body, page);
    seen.then = () => [
      facts([["Now", state(now.allowed ? "allowed" : "denied")], ["Then", state(then.allowed ? "allowed" : "denied")],
        ["So it", flips ? "flips" : "stays"], ["Decided by", listed(then.policies, "no policy")]]),
      explained(then),
    ];
  } catch (error) {
    if (page.signal.aborted) return;
    seen.then = () => problem(error);
  }
  seen.draw();
}

function names(text = "") {
  return text.split(",").map((one) => one.trim()).filter(Boolean);
}

function pairs(text = "") {
  return Object.fromEntries(names(text).map((one) => {
    const [name, ...value] = one.split("=");
    return [name.trim(), value.join("=").trim() || null];
  }));
}
