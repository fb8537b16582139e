// One command, from the click to the device's answer, as it comes.

import { get, may, send } from "../api.js";
import { h } from "../elements.js";
import { allowedButton, facts, part, table } from "../parts.js";
import { asking, to } from "../place.js";
import { problem } from "../states.js";
import { by, instant, state, value } from "../words.js";

const LIVE_MS = 1000;
const LIVE = { quiet: 5000, gap: 200 };

export async function command(page) {
  await page.who();
  const id = page.path[1];
  const seen = { said: null, cancel: null };
  await page.live(LIVE_MS, async () => {
    const found = await get(`/commands/${encodeURIComponent(id)}`, {}, page);
    if (!found.is_final) seen.cancel ??= (await may([{ command: found.name, device: found.device }], page))[0];
    page.title = found.name;
    seen.draw = () => page.show(
      seen.said,
      facts([
        ["Device", h("a", { href: to("devices", found.device) }, found.device)], ["State", state(found.state)],
        ["Known by", found.reported_by], ["Sent", instant(found.created_at)], ["By", by(found.created_by)],
        ["Starts no more after", instant(found.expires_at)],
        ...(found.cancel_requested_at ? [["Cancel asked for", instant(found.cancel_requested_at)]] : []),
      ]),
      part("Result", detail(found.detail)),
      part("What the device said", table("States that it reported", ["State", "Detail", "Came"], found.history.map((one) => [
        state(one.state), detail(one.detail), instant(one.received_at),
      ]), "Nothing yet.")),
      page.me.may?.includes("ViewAudit") && h("p", {}, h("a", { href: asking(to("audit"), { command: id }) }, "Follow it through the audit")),
      !found.is_final && allowedButton("Take it back", seen.cancel, () => cancel(id, seen)));
    seen.draw();
    return found.is_final ? "done" : "";
  }, { ...LIVE, heeds: ({ data }) => data.command === id });
}

function detail(members) {
  const some = Object.entries(members);
  return some.length > 0 ? facts(some.map(([name, text]) => [name.replaceAll("_", " "), value(text)])) : "–";
}

async function cancel(id, seen) {
  try {
    await send("POST", `/commands/${encodeURIComponent(id)}/cancel`, {});
    seen.said = () => h("p", { role: "status" }, "Asked for: it says canceled once it is sure that it never begins.");
  } catch (error) {
    seen.said = () => problem(error);
  }
  seen.draw();
}
