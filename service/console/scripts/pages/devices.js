// The devices that the person may view, a hundred at a time, by filters that stand in the address.

import { get } from "../api.js";
import { h } from "../elements.js";
import { choice, field, filters, listed, pages, table } from "../parts.js";
import { to } from "../place.js";
import { connection, when } from "../words.js";

const LIVE_MS = 10_000;
const FILTERS = ["text", "group", "connected", "kind", "region", "version", "cursor"];

export async function devices(page) {
  const query = Object.fromEntries(FILTERS.map((name) => [name, page.query[name] ?? ""]));
  page.lead = () => filters(page,
    field("text", "Search", { type: "search", value: query.text, placeholder: "id, attribute or tag" }),
    field("group", "Group", { value: query.group }),
    field("kind", "Kind", { value: query.kind }),
    field("region", "Region", { value: query.region }),
    field("version", "Runs", { value: query.version, placeholder: "firmware:1.4.2" }),
    choice("connected", "Connection", [["", "any"], ["true", "connected"], ["false", "away"]], query.connected));
  await page.live(LIVE_MS, async () => {
    const { devices: found, cursor } = await get("/devices", { limit: 100, ...query }, page);
    page.show(
      table("Devices", ["Device", "Connection", "Since", "Kind", "Region", "Runs", "Groups"], found.map(row),
        cursor ? "None among these. There are more to look at: the next page."
          : "No device matches, or you may view none that does."),
      pages(query, cursor));
  });
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
