// Overview: what is connected, what is under way, and what failed, of what the person may view.

import { get } from "../api.js";
import { bars, often } from "../counts.js";
import { dayChart, lastDay } from "../day.js";
import { h } from "../elements.js";
import { part, table } from "../parts.js";
import { asking, to } from "../place.js";
import { problem } from "../states.js";
import { state, when } from "../words.js";

const LIVE_MS = 10_000;
const LIVE = { quiet: 30_000, gap: 3000, heeds: () => true };
const NONE = "no policy permits it";

export async function overview(page) {
  const fleet = { versions: null, refused: null, day: null, draw: null };
  // Asked once a visit, and only by who may: each look at the trail is audited.
  page.who().then(async ({ may }) => {
    if (!may?.includes("ViewAudit")) return;
    fleet.refused = (await some(get("/audit", { decision: "DENY", limit: 100 }, page), "entries")).rows;
    fleet.draw?.();
  }).catch(() => null);
  await page.live(LIVE_MS, async () => {
    const [devices, commands, downloads] = await Promise.all([
      some(get("/devices", { limit: 100 }, page), "devices"), some(get("/commands", { limit: 50 }, page), "commands"),
      some(get("/downloads", { limit: 50 }, page), "downloads"),
    ]);
    // To count them every device is read: of a fleet of more than a page only when somebody asks.
    if (!devices.more && fleet.versions === null) count(fleet, page);
    const connected = devices.rows.filter((one) => one.connectivity?.connected).length;
    fleet.draw = () => page.show(
      h("ul", { class: "figures" },
        figure(to("devices"), devices, "devices that you may view"),
        figure(asking(to("devices"), { connected: true }), { rows: { length: connected }, more: devices.more }, "connected"),
        figure(to("downloads"), { rows: downloads.rows.filter((one) => one.state === "in_progress"), more: downloads.more }, "downloads under way")),
      part("Connected over the last day", day(fleet, devices, page)),
      part("Commands by state", bars(often(commands.rows.map((one) => one.state)), (name) => asking(to("commands"), { state: name }))),
      part("Downloads by state", bars(often(downloads.rows.map((one) => one.state)), (name) => asking(to("downloads"), { state: name }))),
      part("What devices run", running(fleet, page)),
      part("Last commands", table("Last commands", ["Command", "Device", "State", "Sent"], commands.rows.slice(0, 8).map((one) => [
        h("a", { href: to("commands", one.id) }, one.name), h("a", { href: to("devices", one.device) }, one.device), state(one.state), when(one.created_at),
      ]), "No command was sent, or you may view none.")),
      fleet.refused && part("Refusals of the last seven days, by policy", bars(often(fleet.refused.flatMap(({ policies }) => (policies.length > 0 ? policies : [NONE]))),
        () => asking(to("audit"), { decision: "DENY" }), String)));
    fleet.draw();
  }, LIVE);
}

/** Asked when somebody presses for it: a day of the log is read. */
function day(fleet, { rows, more }, page) {
  if (more) return h("p", { class: "hint" }, "Shown for a fleet of up to 100 devices: of a larger one nobody counts by the hour.");
  const ask = () => lastDay(rows, page).then((found) => { fleet.day = found; fleet.draw(); }, (error) => { fleet.day = { error }; fleet.draw(); });
  if (fleet.day === null) return h("p", {}, h("button", { onclick: ask }, "Show the last day"));
  return fleet.day.error ? problem(fleet.day.error) : dayChart(fleet.day, rows.length);
}

/** Ask once how many devices run which versions. */
function count(fleet, page) {
  fleet.versions = { rows: [] };
  const asked = some(get("/versions", {}, page), "versions");
  asked.then((found) => { fleet.versions = found; fleet.draw(); }, (error) => { fleet.versions = { error }; fleet.draw(); });
}

function running(fleet, page) {
  const { versions } = fleet;
  if (versions === null) {
    return h("p", {}, h("button", { onclick: () => { count(fleet, page); fleet.draw(); } }, "Count the versions over the fleet"));
  }
  if (versions.error) return problem(versions.error);
  const counts = versions.rows.map((one) => [`${one.package}:${one.version}`, one.devices]);
  return bars(new Map(counts), (name) => asking(to("devices"), { version: name }), String);
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
