// One download: how far each device is, live, and the way to take it back.

import { get, may, send } from "../api.js";
import { counted } from "../counts.js";
import { h } from "../elements.js";
import { allowedButton, facts, pages, part, table } from "../parts.js";
import { to } from "../place.js";
import { problem } from "../states.js";
import { by, instant, size, state, value, when } from "../words.js";
import { forWhom } from "./downloads.js";
import { rollout } from "./rollout.js";

const LIVE_MS = 1500;
// Of how far a device is with a file no event tells.
const LIVE = { quiet: 2500, gap: 400 };
const OVER = new Set(["succeeded", "partly_failed", "failed", "rejected", "timed_out", "removed", "canceled"]);

export async function download(page) {
  const id = page.path[1];
  const seen = { said: null, cancel: null };
  await page.live(LIVE_MS, async () => {
    const found = await get(`/downloads/${encodeURIComponent(id)}`, { cursor: page.query.cursor }, page);
    const isOver = OVER.has(found.state);
    const about = found.device ? { device: found.device } : { group: found.group ?? found.selected_in };
    if (!isOver) seen.cancel ??= (await may([{ action: "CancelDownload", ...about }], page))[0];
    seen.draw = () => page.show(
      seen.said,
      facts([
        ["File", found.artifact], ["For", found.device ? h("a", { href: to("devices", found.device) }, found.device) : forWhom(found)],
        ["State", state(found.state)], ["Devices", counted(found.counts)], ["Size", size(found.size)],
        ["SHA-256", h("code", { class: "long" }, found.sha256)], ["Asked for", instant(found.created_at)], ["By", by(found.created_by)],
        ...(found.failure ? [["Failure", found.failure]] : []),
      ]),
      rollout(found, seen, isOver),
      part("Devices", table("How far each device is", ["Device", "State", "Detail", "Last heard"], found.deliveries.map((one) => [
        h("a", { href: to("devices", one.device) }, one.device), state(one.state), progressOf(one), when(one.updated_at),
      ]), "No device has it yet: the worker is making its jobs.")),
      pages(page.query, found.cursor),
      !isOver && found.state !== "canceling" && allowedButton("Cancel", seen.cancel, () => cancel(id, seen)));
    seen.draw();
    return isOver ? "done" : "";
  }, { ...LIVE, heeds: ({ data }) => data.download === id });
}

function progressOf({ detail }) {
  const { progress, ...rest } = detail;
  const share = Number.parseFloat(progress);
  return [
    Number.isFinite(share) && h("progress", { max: 100, value: share, "aria-label": "received" }),
    Object.entries(rest).map(([name, text]) => h("span", { class: "detail" }, `${name.replaceAll("_", " ")}: `, value(text), " ")),
  ];
}

async function cancel(id, seen) {
  try {
    await send("POST", `/downloads/${encodeURIComponent(id)}/cancel`);
    seen.said = () => h("p", { role: "status" }, "What has not begun on its device is taken back.");
  } catch (error) {
    seen.said = () => problem(error);
  }
  seen.draw();
}
