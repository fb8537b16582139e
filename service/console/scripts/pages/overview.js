// Overview: what is connected, what is under way, and what failed, of what the person may view.

import { get } from "../api.js";
import { h } from "../elements.js";
import { part, table } from "../parts.js";
import { asking, to } from "../place.js";
import { state, when } from "../words.js";

const LIVE_MS = 10_000;
const MOST_BARS = 10;
const NONE = "no policy permits it";

export async function overview(page) {
  // Asked once a visit, and only by who may: each look at the trail is audited.
  const refused = page.me.may?.includes("ViewAudit") ? (await some(get("/audit", { decision: "DENY", limit: 100 }, page), "entries")).rows : null;
  // Over a large fleet this takes its time: the page neither waits for it nor asks again.
  let versions = null;
  some(get("/versions", {}, page), "versions").then((found) => { versions = found; }, () => null);
  await page.live(LIVE_MS, async () => {
    const [devices, commands, downloads] = await Promise.all([
      some(get("/devices", { limit: 100 }, page), "devices"), some(get("/commands", { limit: 50 }, page), "commands"),
      some(get("/downloads", { limit: 50 }, page), "downloads"),
    ]);
    const connected = devices.rows.filter((one) => one.connectivity?.connected).length;
    page.show(
      h("ul", { class: "figures" },
        figure(to("devices"), devices, "devices that you may view"),
        figure(asking(to("devices"), { connected: true }), { rows: { length: connected }, more: devices.more }, "connected"),
        figure(to("downloads"), { rows: downloads.rows.filter((one) => one.state === "in_progress"), more: downloads.more }, "downloads under way")),
      part("Commands by state", bars(commands.rows.map((one) => one.state), (name) => asking(to("commands"), { state: name }))),
      part("Downloads by state", bars(downloads.rows.map((one) => one.state), (name) => asking(to("downloads"), { state: name }))),
      versions && part("What devices run", bars(versions.rows.flatMap((one) => Array(one.devices).fill(`${one.package}:${one.version}`)), (name) => asking(to("devices"), { version: name }), String)),
      refused && part("Refusals of the last seven days, by policy", bars(refused.flatMap(({ policies }) => (policies.length > 0 ? policies : [NONE])),
        () => asking(to("audit"), { decision: "DENY" }), String)),
      part("Last commands", table("Last commands", ["Command", "Device", "State", "Sent"], commands.rows.slice(0, 8).map((one) => [
        h("a", { href: to("commands", one.id) }, one.name), h("a", { href: to("devices", one.device) }, one.device), state(one.state), when(one.created_at),
      ]), "No command was sent, or you may view none.")));
  });
}

/** What may be seen of it; nothing, where the person may not see it. */
async function some(question, member) {
  try {
    const answer = await question;
    return { rows: answer[member], more: Boolean(answer.cursor) };
  } catch (error) {
    if (error.status === 403) return { rows: [], more: false };
    throw error;
  }
}

function figure(address, { rows, more }, words) {
  return h("li", {}, h("a", { href: address }, h("b", {}, more ? `${rows.length}+` : rows.length), h("span", {}, words)));
}

/** How often there is which; the numbers stand beside the bars. */
function bars(names, addressOf, shown = state) {
  const counts = new Map();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  const most = Math.max(1, ...counts.values());
  const entries = [...counts].sort(([, one], [, other]) => other - one).slice(0, MOST_BARS);
  if (entries.length === 0) return h("p", {}, "Nothing yet.");
  return h("ul", { class: "bars" }, entries.map(([name, count]) =>
    h("li", {}, h("a", { href: addressOf(name) }, shown(name)),
      h("meter", { min: 0, max: most, value: count, "aria-label": name.replaceAll("_", " ") }), h("span", { class: "number" }, count))));
}
