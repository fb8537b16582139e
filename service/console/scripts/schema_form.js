// A form made of a JSON Schema (2020-12): fields for what people fill in, JSON for the rest.
//
// Nothing is decided here: the API holds the arguments against the schema and names what is wrong.

import { h } from "./elements.js";
import { choice, field } from "./parts.js";

const DEEPEST = 3;

/**
 * The fields of a command's arguments.
 *
 * @param {Object|null} schema Of an object; `null`: any arguments.
 * @returns {{fields: () => Node[], read: (form: HTMLFormElement) => Object}} `read` raises SyntaxError
 *   where JSON was asked for and none is given.
 */
export function schemaForm(schema) {
  if (!schema?.properties) {
    return {
      fields: () => jsonField("arguments", "Arguments", "{}", "A JSON object, as the device's handler takes it."),
      read: (form) => JSON.parse(form.elements.namedItem("arguments").value || "{}"),
    };
  }
  const root = group(schema, schema, "argument", 0);
  return { fields: root.fields, read: (form) => root.read(form) ?? {} };
}

function group(schema, root, path, depth) {
  const members = Object.entries(schema.properties).map(([name, told]) => {
    const one = followed(told, root);
    return { name, ...member(one, root, `${path}.${name}`, one.title ?? name, schema.required?.includes(name) ?? false, depth) };
  });
  return {
    fields: () => members.map(({ element }) => element()),
    read(form) {
      const given = members.map(({ name, read }) => [name, read(form)]).filter(([, value]) => value !== undefined);
      return given.length > 0 ? Object.fromEntries(given) : undefined;
    },
  };
}

/** One argument: its element, and how it is read; `undefined` is left out. */
function member(schema, root, id, label, required, depth) {
  const hint = hintOf(schema);
  const text = (form) => form.elements.namedItem(id).value;
  const shown = schema.default === undefined ? "" : String(schema.default);
  if (schema.const !== undefined) return { element: () => null, read: () => (required ? schema.const : undefined) };
  if (Array.isArray(schema.enum) || schema.type === "boolean") {
    const values = schema.enum ?? [true, false];
    const options = values.map((value, at) => [String(at), words(value)]);
    const chosen = values.indexOf(schema.default);
    return {
      element: () => choice(id, mark(label, required), required ? options : [["", "–"], ...options], chosen < 0 ? "" : String(chosen), { required }),
      read: (form) => (text(form) === "" ? undefined : values[Number(text(form))]),
    };
  }
  if (schema.type === "integer" || schema.type === "number") {
    const step = schema.multipleOf ?? (schema.type === "integer" ? 1 : "any");
    return {
      element: () => field(id, mark(label, required), { type: "number", value: shown, required, step, min: schema.minimum, max: schema.maximum }, hint),
      read: (form) => (text(form) === "" ? undefined : Number(text(form))),
    };
  }
  if (schema.type === "string") {
    return {
      element: () => field(id, mark(label, required), { value: shown, required, minlength: schema.minLength, maxlength: schema.maxLength }, hint),
      read: (form) => (text(form) === "" && !required ? undefined : text(form)),
    };
  }
  if (schema.type === "object" && schema.properties && depth < DEEPEST) {
    const inner = group(schema, root, id, depth + 1);
    return {
      element: () => h("fieldset", {}, h("legend", {}, mark(label, required)), hint && h("p", { class: "hint" }, hint), inner.fields),
      read: (form) => inner.read(form) ?? (required ? {} : undefined),
    };
  }
  return {
    element: () => jsonField(id, mark(label, required), schema.default === undefined ? "" : JSON.stringify(schema.default), ["JSON.", hint].filter(Boolean).join(" ")),
    read: (form) => (text(form).trim() === "" ? undefined : JSON.parse(text(form))),
  };
}

/** What a reference to the schema's own `$defs` leads to; references in a circle the API takes none. */
function followed(schema, root) {
  const name = /^#\/\$defs\/(.+)$/.exec(schema?.$ref ?? "")?.[1];
  if (!name) return typeof schema === "object" ? schema : {};
  const { $ref, ...beside } = schema;
  return { ...followed(root.$defs?.[name] ?? {}, root), ...beside };
}

function jsonField(id, label, shown, hint) {
  return h("div", { class: "field" }, h("label", { for: id }, label),
    h("textarea", { id, name: id, rows: 4, spellcheck: "false", "aria-describedby": `${id}-hint` }, shown),
    h("p", { class: "hint", id: `${id}-hint` }, hint));
}

function hintOf({ description, minimum, maximum, pattern, minLength, maxLength }) {
  const range = minimum !== undefined && maximum !== undefined ? `${minimum} to ${maximum}.`
    : minimum !== undefined ? `At least ${minimum}.` : maximum !== undefined ? `At most ${maximum}.` : null;
  const length = minLength && maxLength ? `${minLength} to ${maxLength} characters.` : null;
  return [description, range, length, pattern && `Like ${pattern}`].filter(Boolean).join(" ") || null;
}

function mark(label, required) {
  return required ? `${label} (needed)` : label;
}

function words(value) {
  return value === true ? "yes" : value === false ? "no" : typeof value === "string" ? value : JSON.stringify(value);
}
