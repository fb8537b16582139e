// The devices that the person may view, a hundred at a time, by filters that stand in the address.

import { get } from "../api.js";
import { h } from "../elements.js";
import { choice, field, filters, listed, pages, table } from "../parts.js";
import { asking, to } from "../place.js";
import { connection, when } from "../words.js";

const LIVE_MS = 10_000;
const LIVE = { quiet: 60_000, gap: 2000 };
const FILTERS = ["text", "group", "connected", "kind", "region", "version", "cursor"];
const A_PAGE = 100;
const AN_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/; // as the wire has it

export async function devices(page) {
  const query = Object.fromEntries(FILTERS.map((name) => [name, page.query[name] ?? ""]));
  const seen = { found: [], cursor: null, isLooking: false };
  page.lead = () => filters(page,
    field("text", "Search", { type: "search", value: query.text, placeholder: "id, attribute or tag" }),
    field("group", "Group", { value: query.group }),
    field("kind", "Kind", { value: query.kind }),
    field("region", "Region", { value: query.region }),
    field("version", "Runs", { value: query.version, placeholder: "firmware:1.4.2" }),
    choice("connected", "Connection", [["", "any"], ["true", "connected"], ["false", "away"]], query.connected));
  const { cursor: _, ...filter } = query;
  const isFiltered = Object.values(filter).some(Boolean);
  const draw = () => page.show(
    isFiltered && h("p", { class: "row" }, "To all that this finds: ",
      h("a", { class: "button", href: asking(to("downloads", "new"), { for: "filter", ...filter }) }, "Download File"),
      h("a", { class: "button", href: asking(to("campaigns"), { for: "filter", ...filter }) }, "Send a command")),
    table("Devices", ["Device", "Connection", "Since", "Kind", "Region", "Runs", "Groups"], seen.found.map(row),
      seen.isLooking ? "None so far." : "No device matches, or you may view none that does."),
    seen.isLooking && h("p", { class: "hint", role: "status" }, "Looking through the rest of the fleet…"),
    pages(query, seen.cursor));
  await page.live(LIVE_MS, async () => {
    await look(seen, query, draw, page);
    draw();
    // What was looked for over many pages is not looked for again and again.
    return seen.asked > 1 ? "done" : "";
  }, { ...LIVE, heeds: ({ device, type }) => type.startsWith("device.") && (!query.text || seen.found.some(({ id }) => id === device)) });
}

/** A page of devices: one answer looks at 500 of the fleet, so that it may take several. */
async function look(seen, query, draw, page) {
  const found = query.text && !query.cursor ? await exact(query, page) : [];
  let cursor = query.cursor;
  seen.asked = 0;
  if (found.length > 0) {
    Object.assign(seen, { found, cursor: null, isLooking: true });
    draw();
  }
  do {
    const answer = await get("/devices", { ...query, limit: A_PAGE - found.length, cursor }, page);
    const known = new Set(found.map(({ id }) => id));
    found.push(...answer.devices.filter(({ id }) => !known.has(id)));
    ({ cursor } = answer);
    seen.asked += 1;
    Object.assign(seen, { found: [...found], cursor, isLooking: Boolean(cursor) && found.length < A_PAGE });
    if (seen.isLooking) draw();
  } while (seen.isLooking);
}

/** Who types a whole id has the device at once, wherever in the fleet it stands. */
async function exact({ text, cursor: _, ...others }, page) {
  if (!AN_ID.test(text) || Object.values(others).some(Boolean)) return [];
  try {
    return [await get(`/devices/${encodeURIComponent(text)}`, {}, page)];
  } catch (error) {
    if (error.status === 403 || error.status === 404 || error.status === 400) return [];
    throw error;
  }
}

function row(device) {
  return [
    h("a", { href: to("devices", device.id) }, device.id),
    connection(device),
    when(device.connectivity?.since),
    device.attributes.kind ?? "–",
    device.attributes.region ?? "–",
    versions(device.reported),
    listed(device.groups.filter((name) => name !== "all")),
  ];
}

/** What a device said last of what runs on it. */
export function versions(reported) {
  const packages = Object.entries(reported?.packages ?? {});
  return packages.length > 0 ? packages.map(([name, version]) => `${name} ${version}`).join(", ") : "–";
}
