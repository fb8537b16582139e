// Commands: send one, and those that were sent, the newest first.

import { get, may, send } from "../api.js";
import { h } from "../elements.js";
import { choice, field, filters, given, pages, table } from "../parts.js";
import { to } from "../place.js";
import { schemaForm } from "../schema_form.js";
import { problem, refusalWords } from "../states.js";
import { why } from "../why.js";
import { state, when } from "../words.js";

const LIVE_MS = 5000;
const FILTERS = ["device", "name", "state", "cursor"];

export async function commands(page) {
  const query = Object.fromEntries(FILTERS.map((name) => [name, page.query[name] ?? ""]));
  const seen = { said: null, sending: false, once: crypto.randomUUID(), types: null, chosen: null, form: null };
  catalogue(page).then((types) => { seen.types = types; seen.draw?.(); }, (error) => { seen.said = () => problem(error); seen.draw?.(); });
  page.lead = () => [
    h("details", { class: "part", open: Boolean(query.device) }, h("summary", {}, "Send a command"), sender(page, seen, query)),
    filters(page, field("of-device", "Device", { value: query.device, name: "device" }), field("of-name", "Command", { value: query.name, name: "name" }),
      field("state", "State", { value: query.state })),
  ];
  await page.live(LIVE_MS, async () => {
    const path = query.device ? `/devices/${encodeURIComponent(query.device)}/commands` : "/commands";
    const { device, ...rest } = query;
    const { commands: found, cursor } = await get(path, { limit: 50, ...rest }, page);
    seen.draw = () => page.show(
      seen.said,
      table("Commands", ["Command", "Device", "State", "Sent", "By"], found.map((one) => [
        h("a", { href: to("commands", one.id) }, one.name), h("a", { href: to("devices", one.device) }, one.device),
        state(one.state), when(one.created_at), one.created_by,
      ]), cursor ? "None among these. There are more to look at: the next page." : "No command matches, or you may view none that does."),
      pages(query, cursor));
    seen.draw();
  });
}

function sender(page, seen, query) {
  if (!seen.types) return h("p", { class: "hint" }, "Asking which commands there are…");
  const type = seen.types.find(({ name }) => name === (seen.chosen ?? query.name)) ?? seen.types[0];
  if (!type) return h("p", { class: "hint" }, "This tenant has no command.");
  // The same form object as long as the command is the same: what is typed stays.
  if (seen.form?.of !== type.name) seen.form = { of: type.name, ...schemaForm(type.parameters) };
  const submit = (event) => {
    event.preventDefault();
    dispatch(page, seen, type, event.target);
  };
  return h("form", { class: "form", onsubmit: submit, "data-key": type.name },
    field("send-device", "To the device", { value: query.device, required: true, maxlength: 64 }),
    choice("send-name", "Command", seen.types.map(({ name }) => [name, name]), type.name,
      { onchange: ({ target }) => { seen.chosen = target.value; seen.draw?.(); } }),
    type.description && h("p", { class: "hint" }, type.description),
    seen.form.fields,
    field("send-timeout", "Seconds until it starts no more", { type: "number", min: 1, max: type.max_timeout_seconds, value: type.timeout_seconds }),
    type.needs_reason && field("send-why", "Reason (needed)", { required: true, maxlength: 500 }, "Its sender says why; it is audited."),
    h("details", {}, h("summary", {}, "It is an emergency"),
      field("send-reason", "Emergency: reason", { maxlength: 500 }, "Some policies allow more in an emergency; it is audited.")),
    h("button", { class: "primary" }, "Send"));
}

/** All of the catalogue; who may not see it has the names, and gives the arguments as JSON. */
async function catalogue(page) {
  const types = [];
  try {
    for (let cursor = ""; cursor !== null;) {
      const found = await get("/command-types", { limit: 100, cursor }, page);
      types.push(...found.command_types);
      cursor = found.cursor;
    }
  } catch (error) {
    if (error.status !== 403) throw error;
    return page.me.commands.map((name) => ({ name, parameters: null, timeout_seconds: 60, max_timeout_seconds: 3600 }));
  }
  return types;
}

async function dispatch(page, seen, type, form) {
  const asked = given(form);
  let parameters;
  try {
    parameters = seen.form.read(form);
  } catch {
    seen.said = () => h("p", { class: "wrong", role: "alert" }, "What shall be JSON is none.");
    seen.draw?.();
    return;
  }
  const device = asked["send-device"].trim();
  const emergency = asked["send-reason"] ? { reason: asked["send-reason"] } : undefined;
  const body = { name: type.name, arguments: parameters, timeout_seconds: Number(asked["send-timeout"] ?? type.timeout_seconds), emergency, reason: asked["send-why"] };
  try {
    const [answer] = await may([{ command: body.name, device, emergency }], page);
    if (!answer.allowed) {
      seen.said = () => h("section", { class: "notice denied", role: "alert" }, h("h2", {}, "Access denied"),
        h("p", {}, `You may not send ${body.name} to ${device}. ${refusalWords(answer)}`), why(page, { command: body.name, device, emergency }));
      seen.draw?.();
      return;
    }
    const made = await send("POST", `/devices/${encodeURIComponent(device)}/commands`, body, { once: seen.once });
    page.go(to("commands", made.id));
  } catch (error) {
    seen.said = () => problem(error);
    // Another attempt of what was surely refused is another command.
    if (error.status >= 400 && error.status < 500) seen.once = crypto.randomUUID();
    seen.draw?.();
  }
}
