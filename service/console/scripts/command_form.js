// The form of a command: which of the catalogue, its arguments, how long it may wait, and why it is sent.

import { get } from "./api.js";
import { h } from "./elements.js";
import { choice, field, given } from "./parts.js";
import { schemaForm } from "./schema_form.js";

/**
 * The fields of a command; what is typed stays as long as the command is the same.
 *
 * @param {Object} seen `types` of the catalogue, `chosen` of them by name; `form` is kept in it.
 * @param {string} first The name that is chosen before somebody chooses.
 * @param {() => void} draw Called when another command is chosen.
 * @returns {{type: Object, fields: () => Node[]}|null} `null`: there is no command.
 */
export function commandForm(seen, first, draw) {
  const type = seen.types.find(({ name }) => name === (seen.chosen ?? first)) ?? seen.types[0];
  if (!type) return null;
  if (seen.form?.of !== type.name) seen.form = { of: type.name, ...schemaForm(type.parameters) };
  return {
    type,
    fields: () => [
      choice("send-name", "Command", seen.types.map(({ name }) => [name, name]), type.name,
        { onchange: ({ target }) => { seen.chosen = target.value; draw(); } }),
      type.description && h("p", { class: "hint" }, type.description),
      seen.form.fields,
      field("send-timeout", "Seconds until it starts no more", { type: "number", min: 1, max: type.max_timeout_seconds, value: type.timeout_seconds }),
      type.needs_reason && field("send-why", "Reason (needed)", { required: true, maxlength: 500 }, "Its sender says why; it is audited."),
      h("details", {}, h("summary", {}, "It is an emergency"),
        field("send-reason", "Emergency: reason", { maxlength: 500 }, "Some policies allow more in an emergency; it is audited.")),
    ],
  };
}

/** What the form says, as the API takes it; raises SyntaxError where JSON is none. */
export function commandBody(seen, type, form) {
  const asked = given(form);
  return {
    name: type.name, arguments: seen.form.read(form), timeout_seconds: Number(asked["send-timeout"] ?? type.timeout_seconds),
    emergency: asked["send-reason"] ? { reason: asked["send-reason"] } : undefined, reason: asked["send-why"],
  };
}

/** All of the catalogue; who may not see it has the names, and gives the arguments as JSON. */
export async function catalogue(page) {
  const types = [];
  try {
    for (let cursor = ""; cursor !== null;) {
      const found = await get("/command-types", { limit: 100, cursor }, page);
      types.push(...found.command_types);
      cursor = found.cursor;
    }
  } catch (error) {
    if (error.status !== 403) throw error;
    return page.me.commands.map((name) => ({ name, parameters: null, timeout_seconds: 60, max_timeout_seconds: 3600 }));
  }
  return types;
}
