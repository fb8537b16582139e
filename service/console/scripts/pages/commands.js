// Commands: send one, and those that were sent, the newest first.

import { get, may, send } from "../api.js";
import { h } from "../elements.js";
import { choice, field, filters, given, pages, table } from "../parts.js";
import { to } from "../place.js";
import { problem, refusalWords } from "../states.js";
import { state, when } from "../words.js";

const LIVE_MS = 5000;
const FILTERS = ["device", "name", "state", "cursor"];

export async function commands(page) {
  const query = Object.fromEntries(FILTERS.map((name) => [name, page.query[name] ?? ""]));
  const seen = { said: null, sending: false, once: crypto.randomUUID() };
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
  const submit = (event) => {
    event.preventDefault();
    dispatch(page, seen, given(event.target));
  };
  return h("form", { class: "form", onsubmit: submit },
    field("send-device", "To the device", { value: query.device, required: true, maxlength: 64 }),
    choice("send-name", "Command", page.me.commands.map((name) => [name, name]), query.name),
    h("div", { class: "field" }, h("label", { for: "send-arguments" }, "Arguments"),
      h("textarea", { id: "send-arguments", name: "send-arguments", rows: 4, spellcheck: "false", "aria-describedby": "arguments-hint" }, "{}"),
      h("p", { class: "hint", id: "arguments-hint" }, "A JSON object, as the device's handler takes it.")),
    field("send-timeout", "Seconds until it starts no more", { type: "number", min: 1, max: 86400, value: 60 }),
    field("send-reason", "Emergency: reason", { maxlength: 500 }, "Only in an emergency; it is audited."),
    h("button", { class: "primary" }, "Send"));
}

async function dispatch(page, seen, asked) {
  let parameters;
  try {
    parameters = JSON.parse(asked["send-arguments"] ?? "{}");
  } catch {
    seen.said = () => h("p", { class: "wrong", role: "alert" }, "The arguments are no JSON object.");
    seen.draw?.();
    return;
  }
  const device = asked["send-device"].trim();
  const emergency = asked["send-reason"] ? { reason: asked["send-reason"] } : undefined;
  const body = { name: asked["send-name"], arguments: parameters, timeout_seconds: Number(asked["send-timeout"] ?? 60), emergency };
  try {
    const [answer] = await may([{ command: body.name, device, emergency }], page);
    if (!answer.allowed) {
      seen.said = () => h("section", { class: "notice denied", role: "alert" }, h("h2", {}, "Access denied"),
        h("p", {}, `You may not send ${body.name} to ${device}. ${refusalWords(answer)}`));
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
