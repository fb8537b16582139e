// Which devices of the fleet: the fields of `GET /v1/devices`, for what is asked of all that they find.

import { h } from "./elements.js";
import { choice, field } from "./parts.js";

const ONE = { text: "of-text", group: "in-group", kind: "of-kind", region: "of-region", criticality: "of-criticality" };
const SOME = { tag: "of-tag", version: "of-version" };

/**
 * The fields; what is left empty is asked of no device.
 *
 * @param {Object} query Of the page's address, with what is asked first: as the list of devices has it.
 */
export function filterFields(query) {
  const value = (name) => query[name] ?? "";
  return h("div", { class: "filters" },
    field(ONE.text, "Search", { value: value("text"), maxlength: 64, placeholder: "id, attribute or tag" }),
    field(ONE.group, "In the group", { value: value("group"), maxlength: 64 }),
    field(ONE.kind, "Kind", { value: value("kind") }), field(ONE.region, "Region", { value: value("region") }),
    field(ONE.criticality, "Criticality", { value: value("criticality") }),
    field(SOME.tag, "Tags", { value: value("tag"), placeholder: "building:7" }),
    field(SOME.version, "Runs", { value: value("version"), placeholder: "firmware:1.4.2" }),
    choice("of-connected", "Connection", [["", "any"], ["true", "connected"], ["false", "away"]], value("connected")));
}

/** Of what a form holds, the filter as the API takes it. */
export function filterOf(asked) {
  const found = {};
  for (const [name, id] of Object.entries(ONE)) if (asked[id]?.trim()) found[name] = asked[id].trim();
  for (const [name, id] of Object.entries(SOME)) if (asked[id]) found[name] = split(asked[id]);
  if (asked["of-connected"]) found.connected = asked["of-connected"] === "true";
  return found;
}

/** What stands between commas. */
export function split(text = "") {
  return [...new Set(text.split(",").map((one) => one.trim()).filter(Boolean))];
}
