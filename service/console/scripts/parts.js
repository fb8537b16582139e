// Parts that several pages have: tables, facts, fields, buttons with their reasons, pages of lists.

import { h } from "./elements.js";
import { asking } from "./place.js";
import { nothing, refusalWords } from "./states.js";

/**
 * A table; on a narrow screen each row stands for itself.
 *
 * @param {string} caption What it lists, for who hears the page.
 * @param {string[]} heads The columns.
 * @param {Array<Array>} rows A cell for each column.
 * @param {Node|string} empty What is said when there is no row.
 */
export function table(caption, heads, rows, empty) {
  if (rows.length === 0) return nothing(empty);
  return h("div", { class: "table" }, h("table", {},
    h("caption", { class: "heard" }, caption),
    h("thead", {}, h("tr", {}, heads.map((head) => (head ? h("th", { scope: "col" }, head) : h("td", {}))))),
    h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell, at) => h("td", { "data-head": heads[at] }, cell)))))));
}

/** Names with what is known of each. */
export function facts(pairs) {
  return h("dl", { class: "facts" }, pairs.map(([name, what]) => h("div", {}, h("dt", {}, name), h("dd", {}, what))));
}

/** A part of a page. */
export function part(title, ...content) {
  return h("section", { class: "part" }, h("h2", {}, title), content);
}

/** A field with its name above it. */
export function field(id, label, attributes = {}, hint = null) {
  return h("div", { class: "field" },
    h("label", { for: id }, label),
    h("input", { id, name: id, autocomplete: "off", spellcheck: "false", ...attributes, "aria-describedby": hint && `${id}-hint` }),
    hint && h("p", { class: "hint", id: `${id}-hint` }, hint));
}

/** A choice of a few. */
export function choice(id, label, options, chosen, attributes = {}) {
  return h("div", { class: "field" },
    h("label", { for: id }, label),
    h("select", { id, name: id, ...attributes },
      options.map(([value, words]) => h("option", { value, selected: value === chosen }, words))));
}

/** A button, or why there is none to press: the answer of `permissions/check` says; `more` leads on. */
export function allowedButton(words, answer, onclick, attributes = {}, more = null) {
  if (answer?.allowed) return h("button", { onclick, ...attributes }, words);
  return h("span", { class: "refused" },
    h("button", { disabled: true, ...attributes }, words),
    h("span", { class: "why" }, answer ? [refusalWords(answer), " ", more] : "Asking whether you may…"));
}

/** The way to the first and the next page of a list. */
export function pages(query, cursor) {
  if (!query.cursor && !cursor) return null;
  return h("nav", { class: "pages", "aria-label": "Pages of the list" },
    query.cursor && h("a", { class: "button", href: asking(location.pathname, { ...query, cursor: null }) }, "First page"),
    cursor && h("a", { class: "button", href: asking(location.pathname, { ...query, cursor }) }, "Next page"));
}

/** What a form holds, without what is empty. */
export function given(form) {
  return Object.fromEntries([...new FormData(form)].filter(([, text]) => typeof text === "string" && text !== ""));
}

/** A form that a question is made of; its fields stand in the address, so that it can be kept. */
export function filters(page, ...fields) {
  const submit = (event) => {
    event.preventDefault();
    page.ask(given(event.target));
  };
  return h("form", { class: "filters", role: "search", onsubmit: submit, onchange: ({ target }) => target.nodeName === "SELECT" && target.form.requestSubmit() },
    fields, h("button", {}, "Search"));
}

/** One after the other, with a comma. */
export function listed(texts, none = "none") {
  return texts.length > 0 ? texts.join(", ") : none;
}
