// The first page: which tenant's console it is to be; remembered in this browser.

import { h } from "./elements.js";

/** The page; `path` is one that leads to no tenant. */
export function welcome(path) {
  const unknown = /^\/console\/([^/]*)/.exec(path)?.[1];
  const known = localStorage.getItem("tenant") ?? "";
  const go = (event) => {
    event.preventDefault();
    const name = new FormData(event.target).get("tenant").trim().toLowerCase();
    if (name) location.assign(`/console/${encodeURIComponent(name)}/`);
  };
  return h("main", { class: "alone", id: "content" },
    h("section", { class: "welcome" },
      h("h1", { tabindex: "-1" }, "Cedarfleet"),
      unknown !== undefined
        ? h("p", { class: "wrong", role: "alert" }, `There is no tenant “${unknown}” here. Ask who invited you for its name.`)
        : h("p", {}, "Whose devices? Your invitation names the tenant."),
      h("form", { onsubmit: go },
        h("label", { for: "tenant" }, "Tenant"),
        h("input", { id: "tenant", name: "tenant", value: unknown ?? known, autocomplete: "organization", autocapitalize: "none", spellcheck: "false", required: true }),
        h("button", { class: "primary" }, "Go on"))));
}
