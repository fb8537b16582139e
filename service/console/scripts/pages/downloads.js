// Downloads of the last 90 days, the newest first.

import { get } from "../api.js";
import { counted } from "../counts.js";
import { h } from "../elements.js";
import { field, filters, pages, table } from "../parts.js";
import { to } from "../place.js";
import { by, state, when } from "../words.js";

const LIVE_MS = 5000;
const LIVE = { quiet: 15_000, gap: 1000 };
const FILTERS = ["device", "group", "artifact", "state", "cursor"];

export async function downloads(page) {
  const query = Object.fromEntries(FILTERS.map((name) => [name, page.query[name] ?? ""]));
  page.lead = () => [
    h("p", {}, h("a", { class: "button primary", href: to("downloads", "new") }, "Download File")),
    filters(page, field("artifact", "File", { value: query.artifact }), field("device", "Device", { value: query.device }),
      field("group", "Group", { value: query.group }), field("state", "State", { value: query.state })),
  ];
  await page.live(LIVE_MS, async () => {
    const { downloads: found, cursor } = await get("/downloads", { limit: 100, ...query }, page);
    page.show(
      table("Downloads", ["File", "For", "State", "Devices", "Asked for", "By"], found.map((one) => [
        h("a", { href: to("downloads", one.id) }, one.artifact),
        forWhom(one),
        state(one.state), counted(one.counts), when(one.created_at), by(one.created_by),
      ]), cursor ? "None among these. There are more to look at: the next page." : "No download matches, or you may view none that does."),
      pages(query, cursor));
  }, { ...LIVE, heeds: ({ type }) => /^(delivery|rollout)\./.test(type) });
}

/** A device, a group, or devices that were chosen: by a filter in a group, or by name. */
export function forWhom({ device, group, selected_in: within }) {
  return device ?? (group ? `group ${group}` : within === "all" ? "chosen devices" : `chosen devices of ${within}`);
}
