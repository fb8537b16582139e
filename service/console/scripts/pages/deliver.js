// Download File: which file, for whom, what the policies say of it, and the start.

import { get, may, send } from "../api.js";
import { h } from "../elements.js";
import { filterFields, filterOf, split } from "../fleet_filter.js";
import { choice, field, table } from "../parts.js";
import { to } from "../place.js";
import { loading, notice, problem, refusalWords } from "../states.js";
import { why } from "../why.js";
import { state } from "../words.js";
import { planBody, plannedGroup, shapeFields } from "./plan.js";

const MOST_DEVICES = 500;

export async function deliver(page) {
  const seen = { plan: null, group: null, said: null, names: [], groups: [], kind: page.query.for ?? (page.query.group ? "group" : "devices") };
  const draw = () => page.show(form(page, seen, draw), seen.said, seen.plan && planned(page, seen, draw), seen.group && plannedGroup(page, seen, draw));
  draw();
  const [files, groups] = await Promise.all([
    known(get("/files", { limit: 100 }, page), "files"), known(get("/groups", { limit: 100 }, page), "groups"),
  ]);
  seen.names = [...new Set(files.filter((one) => one.state === "available").map(({ name }) => name))];
  seen.groups = groups.map(({ id }) => id);
  draw();
}

/** What is offered; who may not list it types the name. */
async function known(question, member) {
  try {
    return (await question)[member];
  } catch (error) {
    if (error.status === 403) return [];
    throw error;
  }
}

function form(page, seen, draw) {
  const submit = (event) => {
    event.preventDefault();
    const asked = Object.fromEntries(new FormData(event.target));
    const names = split(asked.device);
    if (asked.kind === "group") planMany(page, seen, draw, asked, { group: asked.group.trim() });
    else if (asked.kind === "filter") planMany(page, seen, draw, asked, { filter: filterOf(asked) });
    else if (names.length > 1) planMany(page, seen, draw, asked, { devices: names });
    else plan(page, seen, draw, asked, names);
  };
  return h("form", { class: "part form", onsubmit: submit },
    field("artifact", "File", { value: page.query.artifact ?? "", required: true, list: "known-files", maxlength: 512 },
      "Its name as devices get it; the newest version is taken. A new one is uploaded under Files."),
    h("datalist", { id: "known-files" }, seen.names.map((name) => h("option", { value: name }))),
    choice("kind", "For", [["devices", "devices by name"], ["group", "a group"], ["filter", "what a filter finds"]], seen.kind,
      { onchange: ({ target }) => { seen.kind = target.value; seen.plan = null; seen.group = null; draw(); } }),
    seen.kind === "group" && field("group", "Group", { value: page.query.group ?? "", required: true, list: "known-groups" }),
    seen.kind === "filter" && filterFields(page.query),
    seen.kind === "devices" && field("device", "Devices", { value: page.query.device ?? "", required: true }, `Up to ${MOST_DEVICES}, with commas between them.`),
    h("datalist", { id: "known-groups" }, seen.groups.map((name) => h("option", { value: name }))),
    shapeFields(field, seen.kind === "devices" ? "More than one: in waves, with pauses" : "In waves, with pauses"),
    h("details", {}, h("summary", {}, "It is an emergency"),
      field("reason", "Reason", { maxlength: 500 }, "Some policies allow more in an emergency; the reason is audited.")),
    h("button", { class: "primary", disabled: seen.asking }, "Download File"));
}

async function planMany(page, seen, draw, asked, target) {
  Object.assign(seen, { asking: true, said: () => loading(2), plan: null, group: null });
  draw();
  try {
    seen.group = await send("POST", "/downloads/plan", { ...planBody(asked), ...target }, page);
    seen.said = null;
  } catch (error) {
    if (page.signal.aborted) return;
    seen.said = () => problem(error);
  }
  seen.asking = false;
  draw();
  document.getElementById("plan")?.focus();
}

/** Of one device: what the policies say, and a download of its own. */
async function plan(page, seen, draw, { artifact, reason = "" }, names) {
  const action = artifact.startsWith("firmware/") ? "UpdateFirmware" : "DownloadFile";
  const emergency = reason.trim() ? { reason: reason.trim() } : undefined;
  Object.assign(seen, { asking: true, said: () => loading(2), plan: null, group: null });
  draw();
  try {
    const checks = names.map((name) => ({ action, device: name, artifact, emergency }));
    const answers = await may(checks, page);
    seen.plan = names.map((name, at) => ({ name, artifact, emergency, check: checks[at], answer: answers[at], once: crypto.randomUUID() }));
    seen.said = null;
  } catch (error) {
    if (page.signal.aborted) return;
    seen.said = () => problem(error);
  }
  seen.asking = false;
  draw();
  document.getElementById("plan")?.focus();
}

function planned(page, seen, draw) {
  const allowed = seen.plan.filter(({ answer }) => answer.allowed);
  return h("section", { class: "part" }, h("h2", { id: "plan", tabindex: "-1" }, "Plan"),
    allowed.length === 0 && notice("denied", "Access denied", h("p", {}, seen.plan.length === 1
      ? `You may not download ${seen.plan[0].artifact} to ${seen.plan[0].name}. ${refusalWords(seen.plan[0].answer)}`
      : `You may not download ${seen.plan[0].artifact} to any of these.`)),
    table("What the policies say", ["For", "Decision", "Why", "Download"], seen.plan.map((one) => [
      one.name, state(one.answer.allowed ? "allowed" : "denied"),
      one.answer.allowed ? one.answer.policies.join(", ") : [refusalWords(one.answer), " ", why(page, one.check)],
      one.problem ? problem(one.problem) : one.started ? h("a", { href: to("downloads", one.started) }, "watch it") : "–",
    ]), "Nothing is asked for."),
    allowed.length > 0 && !seen.plan.some(({ started }) => started)
      && h("button", { class: "primary", disabled: seen.asking, onclick: () => start(page, seen, draw, allowed) },
        `Start for ${allowed.length} of ${seen.plan.length}`));
}

async function start(page, seen, draw, allowed) {
  seen.asking = true;
  draw();
  await Promise.all(allowed.map(async (one) => {
    const body = { artifact: one.artifact, device: one.name, emergency: one.emergency };
    try {
      one.started = (await send("POST", "/downloads", body, { once: one.once })).id;
    } catch (error) {
      one.problem = error;
    }
  }));
  seen.asking = false;
  if (page.signal.aborted) return;
  if (allowed.length === 1 && allowed[0].started) page.go(to("downloads", allowed[0].started));
  else draw();
}
