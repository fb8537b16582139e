// Groups of devices, and of one: which versions it wants, and how far its devices are.

import { get, may, send } from "../api.js";
import { h } from "../elements.js";
import { allowedButton, facts, field, given, listed, pages, part, table } from "../parts.js";
import { asking, to } from "../place.js";
import { problem } from "../states.js";
import { by, instant, state, when } from "../words.js";
import { offset } from "./plan.js";

const LIVE_MS = 5000;

export async function groups(page) {
  const query = { cursor: page.query.cursor ?? "" };
  await page.live(2 * LIVE_MS, async () => {
    const { groups: found, cursor } = await get("/groups", { limit: 100, ...query }, page);
    page.show(table("Groups", ["Group", "In", "For", "Made"], found.map((one) => [
      h("a", { href: to("groups", one.id) }, one.id), listed(one.parents, "–"), one.description || "–",
      one.source === "file" ? "by the tenant's file" : when(one.created_at),
    ]), "There is no group, or none that you may view."), pages(query, cursor));
  });
}

export async function group(page) {
  const id = page.path[1];
  const path = `/groups/${encodeURIComponent(id)}`;
  const seen = { said: null, set: null };
  seen.draw = () => seen.found && page.show(seen.said,
    facts([["In", listed(seen.found.parents, "–")], ["For", seen.found.description || "–"], ["Devices", h("a", { href: asking(to("devices"), { group: id }) }, "which they are")]]),
    h("p", { class: "row" }, h("a", { class: "button primary", href: asking(to("downloads", "new"), { group: id }) }, "Download File"),
      h("a", { class: "button", href: asking(to("campaigns"), { for: "group", group: id }) }, "Send a command")),
    seen.wishes && part("Wanted versions", seen.wishes.map((one) => wished(page, seen, path, one)),
      seen.wishes.length === 0 && h("p", { class: "hint" }, "It wants none. What a device runs stays as it is until a file is delivered.")),
    seen.wishes && setter(seen, path));
  may([{ action: "SetWantedVersion", group: id }], page).then(([set]) => { seen.set = set; seen.draw(); }, () => null);
  await page.live(LIVE_MS, async () => {
    seen.found = await get(path, {}, page);
    const { wanted_versions: wanted } = await get(`${path}/wanted-versions`, {}, page);
    seen.wishes = await Promise.all(wanted.map((one) => get(`${path}/wanted-versions/${encodeURIComponent(one.package)}`, {}, page)));
    seen.draw();
  });
}

function wished(page, seen, path, { wanted, counts }) {
  const some = Object.entries(counts).filter(([, count]) => count > 0);
  return h("section", { class: "policy" }, h("h3", {}, wanted.package, " ", wanted.version),
    facts([
      ["State", [state(wanted.state), wanted.why && h("span", { class: "why" }, ` ${wanted.why}`)]], ["File", wanted.artifact],
      ["At most an hour", wanted.devices_per_hour], ["Only between", wanted.window ? `${wanted.window} ${wanted.utc_offset}` : "any time"],
      ["Set", instant(wanted.created_at)], ["By", by(wanted.created_by)],
      ["Devices", some.map(([name, count]) => `${count} ${name.replaceAll("_", " ")}`).join(", ") || "–"],
    ]),
    allowedButton("Want it no more", seen.set, () => acted(seen, `What has begun goes on; nobody else begins ${wanted.version}.`, () =>
      send("DELETE", `${path}/wanted-versions/${encodeURIComponent(wanted.package)}`))));
}

function setter(seen, path) {
  const submit = (event) => {
    event.preventDefault();
    const asked = given(event.target);
    const body = {
      file: asked.file.trim(), devices_per_hour: Number(asked.hourly ?? 600), abort_percent: Number(asked.abort ?? 50),
      ...(asked.window ? { window: asked.window, utc_offset: offset() } : {}),
    };
    acted(seen, "It is set: each device is decided for you when its turn comes.", () =>
      send("PUT", `${path}/wanted-versions/${encodeURIComponent(asked.package.trim())}`, body));
  };
  return h("form", { class: "part form", onsubmit: submit }, h("h2", {}, "Want a version"),
    field("package", "Package", { required: true, maxlength: 64, placeholder: "firmware" }),
    field("file", "Id of the file that brings it", { required: true, maxlength: 64 }, "As Files shows it; the file names package and version."),
    h("details", {}, h("summary", {}, "How fast, and when"),
      field("hourly", "Devices an hour, at most", { type: "number", min: 1, value: 600 }),
      field("window", "Only between", { placeholder: "22:00-04:00", maxlength: 11 }, `By the clock of your zone now, ${offset()}.`),
      field("abort", "Stop when so many percent failed", { type: "number", min: 1, max: 100, value: 50 })),
    allowedButton("Want it", seen.set, null, { class: "primary" }));
}

async function acted(seen, words, act) {
  try {
    await act();
    seen.said = () => h("p", { role: "status" }, words);
  } catch (error) {
    seen.said = () => problem(error);
  }
  seen.draw();
}
