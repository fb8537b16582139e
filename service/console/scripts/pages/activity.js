// Activity: what happens in the tenant, the newest first, as it happens.

import { get } from "../api.js";
import { h } from "../elements.js";
import { listen } from "../events.js";
import { table } from "../parts.js";
import { to } from "../place.js";
import { by, state, when } from "../words.js";

const ASKED_AGAIN_MS = 2000;
const QUIET_MS = 60_000;
const DRAWN_MS = 1000; // at most so often, however much happens
const MOST = 200;

export async function activity(page) {
  const seen = { rows: new Map() };
  let due = null;
  const forget = listen((event) => {
    if (event === null) return;
    put(seen, event.id, rowOf(event));
    due ??= setTimeout(() => { due = null; draw(page, seen); }, DRAWN_MS);
  });
  page.signal.addEventListener("abort", forget, { once: true });
  // Where no events are told, what was asked of devices is asked for again and again.
  await page.live(ASKED_AGAIN_MS, async () => {
    await recent(seen, page);
    draw(page, seen);
  }, { heeds: () => false, quiet: QUIET_MS, gap: DRAWN_MS });
}

/** What was asked of devices before the page was opened. */
async function recent(seen, page) {
  const [commands, downloads] = await Promise.all([
    some(get("/commands", { limit: 50 }, page), "commands"), some(get("/downloads", { limit: 50 }, page), "downloads"),
  ]);
  for (const one of commands) put(seen, one.id, { at: one.created_at, what: ["command ", one.name], device: one.device, state: one.state, by: one.created_by, link: to("commands", one.id) });
  for (const one of downloads) put(seen, one.id, { at: one.created_at, what: ["download of ", one.artifact], device: one.device, group: one.group ?? one.selected_in, state: one.state, by: one.created_by, link: to("downloads", one.id) });
}

function put(seen, key, row) {
  seen.rows.set(key, row);
  if (seen.rows.size <= MOST) return;
  const oldest = [...seen.rows].sort(([, one], [, other]) => Date.parse(one.at) - Date.parse(other.at));
  for (const [old] of oldest.slice(0, seen.rows.size - MOST)) seen.rows.delete(old);
}

function rowOf({ type, timestamp, device, data }) {
  const link = data.command ? to("commands", data.command) : data.download ? to("downloads", data.download) : null;
  return { at: timestamp, what: [type.replaceAll(/[._-]/g, " ")], device: device ?? (data.target_kind === "device" ? data.target : data.device), group: data.target_kind === "group" ? data.target : data.group, state: data.state, by: data.by, link };
}

function draw(page, seen) {
  const rows = [...seen.rows.values()].sort((one, other) => Date.parse(other.at) - Date.parse(one.at));
  page.show(h("p", { class: "hint" }, "As far as you may view it; the newest first, as it happens."),
    table("What happens", ["When", "What", "Where", "State", "By"], rows.map((one) => [
      when(one.at), one.link ? h("a", { href: one.link }, one.what) : one.what,
      one.device ? h("a", { href: to("devices", one.device) }, one.device) : one.group ? `group ${one.group}` : "–",
      one.state ? state(String(one.state)) : "–", by(one.by),
    ]), "Nothing has happened that you may view."));
}

async function some(question, member) {
  try {
    return (await question)[member];
  } catch (error) {
    if (error.status === 403) return [];
    throw error;
  }
}
