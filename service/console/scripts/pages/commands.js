// Commands: send one, and those that were sent, the newest first.

import { get, may, send } from "../api.js";
import { catalogue, commandBody, commandForm } from "../command_form.js";
import { h } from "../elements.js";
import { field, filters, pages, table } from "../parts.js";
import { to } from "../place.js";
import { problem, refusalWords } from "../states.js";
import { why } from "../why.js";
import { by, state, when } from "../words.js";

const LIVE_MS = 5000;
const LIVE = { quiet: 30_000, gap: 1000 };
const FILTERS = ["device", "name", "state", "cursor"];

export async function commands(page) {
  await page.who();
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
        state(one.state), when(one.created_at), by(one.created_by),
      ]), cursor ? "None among these. There are more to look at: the next page." : "No command matches, or you may view none that does."),
      pages(query, cursor));
    seen.draw();
  }, { ...LIVE, heeds: ({ type }) => type.startsWith("command.") });
}

function sender(page, seen, query) {
  if (!seen.types) return h("p", { class: "hint" }, "Asking which commands there are…");
  const form = commandForm(seen, query.name, () => seen.draw?.());
  if (!form) return h("p", { class: "hint" }, "This tenant has no command.");
  const { type } = form;
  const submit = (event) => {
    event.preventDefault();
    dispatch(page, seen, type, event.target);
  };
  return h("form", { class: "form", onsubmit: submit, "data-key": type.name },
    field("send-device", "To the device", { value: query.device, required: true, maxlength: 64 }),
    form.fields,
    h("button", { class: "primary" }, "Send"));
}

async function dispatch(page, seen, type, form) {
  const device = form.elements.namedItem("send-device").value.trim();
  let body;
  try {
    body = commandBody(seen, type, form);
  } catch {
    seen.said = () => h("p", { class: "wrong", role: "alert" }, "What shall be JSON is none.");
    seen.draw?.();
    return;
  }
  const { emergency } = body;
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
