// Which devices of the fleet: the fields of `GET /v1/devices`, for what is asked of all that they find.

import { h } from "./elements.js";
import { choice, field } from "./parts.js";

const ONE = { text: "of-text", group: "in-group", kind: "of-kind", region: "of-region", criticality: "of-criticality" };
const SOME = { tag: "of-tag", version: "of-version" };

/** The fields; what is left empty is asked of no device. */
export function filterFields() {
  return h("div", { class: "filters" },
    field(ONE.text, "Search", { maxlength: 64, placeholder: "id, attribute or tag" }), field(ONE.group, "In the group", { maxlength: 64 }),
    field(ONE.kind, "Kind"), field(ONE.region, "Region"), field(ONE.criticality, "Criticality"),
    field(SOME.tag, "Tags", { placeholder: "building:7" }), field(SOME.version, "Runs", { placeholder: "firmware:1.4.2" }),
    choice("of-connected", "Connection", [["", "any"], ["true", "connected"], ["false", "away"]], ""));
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
