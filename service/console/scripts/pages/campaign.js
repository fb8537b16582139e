// One campaign: how far it is, what became of each device and by which policy, and the way to end it.

import { get, send } from "../api.js";
import { bars } from "../counts.js";
import { h } from "../elements.js";
import { facts, pages, part, table } from "../parts.js";
import { asking, to } from "../place.js";
import { problem } from "../states.js";
import { by, instant, state } from "../words.js";

const LIVE_MS = 2000;
const LIVE = { quiet: 4000, gap: 1000 };
const OVER = new Set(["ended", "canceled", "stopped"]);

export async function campaign(page) {
  const id = page.path[1];
  const path = `/campaigns/${encodeURIComponent(id)}`;
  const query = { state: page.query.state ?? "", cursor: page.query.cursor ?? "" };
  const seen = { said: null, sure: false };
  await page.live(LIVE_MS, async () => {
    const [found, { devices, cursor }] = await Promise.all([get(path, {}, page), get(`${path}/devices`, { limit: 100, ...query }, page)]);
    const isOver = OVER.has(found.state);
    page.title = found.name;
    seen.draw = () => page.show(
      seen.said,
      facts([
        ["State", [state(found.state), found.why && h("span", { class: "why" }, ` ${found.why}`)]],
        ["For", found.group ? h("a", { href: to("groups", found.group) }, `group ${found.group}`) : "devices that it was begun for"],
        ["Devices", found.devices], ["Begun", instant(found.created_at)], ["By", by(found.created_by)],
        ["Sent to nobody after", instant(found.send_before)], ["As of", instant(found.looked_at)],
        ...(found.reason ? [["Reason", found.reason]] : []), ...(found.canceled_by ? [["Canceled by", by(found.canceled_by)]] : []),
      ]),
      part("How far it is", bars(new Map(Object.entries(found.counts).filter(([, count]) => count > 0)), (name) => asking(location.pathname, { state: name }))),
      !isOver && found.state !== "canceling" && h("p", { class: "row" }, canceler(path, seen)),
      part(query.state ? `Devices: ${query.state.replaceAll("_", " ")}` : "Devices",
        query.state && h("p", {}, h("a", { href: location.pathname }, "All of them")),
        table("What became of each device", ["Device", "State", "Why", "Command"], devices.map((one) => [
          h("a", { href: to("devices", one.device) }, one.device), state(one.state), one.explanation ?? (one.policies.join(", ") || "–"),
          one.command ? h("a", { href: to("commands", one.command), "aria-label": `The command of ${one.device}` }, "see it") : "–",
        ]), cursor ? "None among these. There are more to look at: the next page." : "None, or none that you may view.")),
      pages(query, cursor));
    seen.draw();
    return isOver ? "done" : "";
  }, { ...LIVE, heeds: ({ type }) => type === "command.state" });
}

/** Whether one may hangs on who began it and on each of its devices: the API's answer says. */
function canceler(path, seen) {
  const ask = async () => {
    try {
      await send("POST", `${path}/cancel`, {});
      seen.said = () => h("p", { role: "status" }, "Nothing more is sent, and what has not begun is taken back.");
    } catch (error) {
      seen.said = () => problem(error);
    }
    seen.draw();
  };
  return h("button", { onclick: ask }, "Cancel");
}
