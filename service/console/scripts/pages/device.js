// One device: what is known of it, what it reports, what was asked of it, and what one may do.

import { get, may, send } from "../api.js";
import { h } from "../elements.js";
import { allowedButton, facts, field, given, listed, part, table } from "../parts.js";
import { asking, to } from "../place.js";
import { nothing, problem } from "../states.js";
import { versions } from "./devices.js";
import { why } from "../why.js";
import { by, connection, instant, state, value, when } from "../words.js";

const LIVE_MS = 3000;
// Of what it measures and reports no event tells.
const LIVE = { quiet: 6000, gap: 300 };
const RECENT = 5;

export async function device(page) {
  await page.who();
  const id = page.path[1];
  const seen = { answers: null, said: null, pinning: false };
  const actions = [
    { key: "download", words: "Download File", check: { action: "DownloadFile", device: id }, act: () => page.go(asking(to("downloads", "new"), { device: id })) },
    ...page.me.commands.map((name) => ({ key: `command ${name}`, words: name, check: { command: name, device: id }, act: () => page.go(asking(to("commands"), { device: id, name })) })),
    { key: "pin", words: "Pin packages", check: { action: "PinDevice", device: id }, act: () => { seen.pinning = true; seen.draw?.(); } },
    { key: "retire", words: "Retire", check: { action: "RetireDevice", device: id }, act: () => retire(page, id, seen) },
  ];
  may(actions.map(({ check }) => check), page).then((answers) => { seen.answers = answers; seen.draw?.(); }, () => null);
  const look = async () => {
    const [found, states, sent, delivered, measured] = await Promise.all([
      get(`/devices/${encodeURIComponent(id)}`, {}, page),
      optional(get(`/devices/${encodeURIComponent(id)}/state`, {}, page)),
      optional(get(`/devices/${encodeURIComponent(id)}/commands`, { limit: RECENT }, page)),
      optional(get("/downloads", { device: id, limit: RECENT }, page)),
      optional(get(`/devices/${encodeURIComponent(id)}/telemetry`, { limit: 20 }, page)),
    ]);
    seen.draw = () => page.show(
      seen.said,
      found.unreadable && h("p", { class: "wrong", role: "alert" }, `No policy can decide on this device: ${found.unreadable}`),
      part("Facts", facts([
        ["Connection", connection(found)],
        ["Since", instant(found.connectivity?.since)],
        ["Groups", listed(found.groups)],
        ["Runs", versions(found.reported)],
        ["Agent", found.reported?.agent || "–"],
        ...(found.pinned.length > 0 ? [["Pinned", `${listed(found.pinned)}: brought to no wanted version`]] : []),
        ...Object.entries(found.attributes).map(([name, text]) => [name.replaceAll("_", " "), text]),
        ...Object.entries(found.tags).map(([name, text]) => [`tag ${name}`, text]),
      ])),
      seen.pinning && pinner(id, found, seen),
      part("What you may do", h("ul", { class: "actions" }, actions.map((one, at) =>
        h("li", { "data-key": one.key }, allowedButton(one.words, seen.answers?.[at], one.act, {}, why(page, one.check)))))),
      part("State", shownState(states)),
      part("Measured", table("Last values", ["Topic", "Value", "Measured"],
        (measured?.values ?? []).map((one) => [one.topic, one.unreadable ?? value(one.value), when(one.at)]), "It has measured nothing that you may see.")),
      part("Commands", table("Its last commands", ["Command", "State", "Sent", "By"],
        (sent?.commands ?? []).map((one) => [h("a", { href: to("commands", one.id) }, one.name), state(one.state), when(one.created_at), by(one.created_by)]),
        "No command was sent to it, or you may see none.")),
      part("Downloads", table("Its last downloads", ["File", "State", "Asked for", "By"],
        (delivered?.downloads ?? []).map((one) => [h("a", { href: to("downloads", one.id) }, one.artifact), state(one.state), when(one.created_at), by(one.created_by)]),
        "No file was sent to it alone, or you may see none.")));
    seen.draw();
  };
  seen.again = () => look().catch((error) => { seen.said = () => problem(error); seen.draw(); });
  await page.live(LIVE_MS, look, { ...LIVE, heeds: (event) => event.device === id });
}

function shownState(found) {
  const entries = Object.entries(found?.state ?? {});
  if (entries.length === 0) return nothing("Nothing was asked of it, and it reports nothing.");
  return table("Desired and reported state", ["Key", "Wanted", "Reported", ""], entries.map(([key, entry]) => [
    key, value(entry.desired?.value), value(entry.reported?.value),
    entry.reported?.failed ? `failed: ${entry.reported.failed}` : state(entry.settled ? "settled" : "in_progress"),
  ]));
}

/** What one may not see leaves its part empty, and the rest of the page as it is. */
async function optional(question) {
  try {
    return await question;
  } catch (error) {
    if (error.status === 403 || error.status === 404) return null;
    throw error;
  }
}

/** Packages that stay as they are, whatever the device's groups want. */
function pinner(id, found, seen) {
  const submit = async (event) => {
    event.preventDefault();
    const packages = (given(event.target).packages ?? "").split(",").map((one) => one.trim()).filter(Boolean);
    try {
      await send("PUT", `/devices/${encodeURIComponent(id)}/pins`, { packages });
      seen.pinning = false;
      seen.said = () => h("p", { role: "status" }, packages.length > 0
        ? `${listed(packages)}: left as it is, until it is pinned no more.` : "It is brought to what its groups want again.");
    } catch (error) {
      seen.said = () => problem(error);
    }
    seen.again();
  };
  return h("form", { class: "part form", onsubmit: submit, "data-key": "pin" }, h("h2", {}, "Pin packages"),
    field("packages", "Packages", { value: found.pinned.join(", "), placeholder: "firmware" }, "With commas between them; none: pinned no more."),
    h("p", { class: "row" }, h("button", { class: "primary" }, "Pin"),
      h("button", { type: "button", class: "quiet", onclick: () => { seen.pinning = false; seen.draw(); } }, "Leave it")));
}

async function retire(page, id, seen) {
  // Asked a second time, since it is for good.
  if (!seen.sure) {
    seen.sure = true;
    seen.said = () => h("section", { class: "notice denied", role: "alert" },
      h("h2", {}, "Retire it for good?"), h("p", {}, "Its certificates end, and nothing is sent to it any more."),
      h("button", { onclick: () => retire(page, id, seen) }, `Retire ${id}`),
      h("button", { class: "quiet", onclick: () => { seen.sure = false; seen.said = null; seen.draw(); } }, "Leave it"));
  } else {
    try {
      await send("POST", `/devices/${encodeURIComponent(id)}/retire`);
      seen.said = null;
    } catch (error) {
      seen.said = () => problem(error);
    }
    seen.sure = false;
  }
  seen.draw();
}
