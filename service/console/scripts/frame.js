// What stands around each page: where one is, who one is, and the way to the other pages.

import { h } from "./elements.js";
import { tenant, to } from "./place.js";
import { signOut } from "./session.js";
import { theme } from "./theme.js";
import { SECTIONS } from "./pages.js";

let unfolded = false;

/** The whole of a page. */
export function frame({ section, title, lead, me, content }) {
  const turned = () => { theme.turn(); };
  const folded = ({ currentTarget }) => {
    unfolded = !unfolded;
    currentTarget.setAttribute("aria-expanded", String(unfolded));
    currentTarget.closest(".frame").classList.toggle("unfolded", unfolded);
  };
  const here = ({ key }) => (key === section ? "page" : null);
  return h("div", { class: unfolded ? "frame unfolded" : "frame" },
    h("a", { class: "skip", href: "#content", "data-plain": true }, "To the content"),
    h("header", { class: "top" },
      h("button", { class: "fold", "aria-expanded": String(unfolded), "aria-controls": "sections", onclick: folded }, "Menu"),
      h("a", { class: "brand", href: to("devices") }, "Cedarfleet ", h("b", {}, tenant)),
      h("span", { class: "tier", title: me ? lackOf(me) : "" }, me ? tierOf(me) : ""),
      h("span", { class: "who", title: me && groupsOf(me) }, me?.email ?? ""),
      h("button", { class: "quiet", onclick: turned }, "Light or dark"),
      h("button", { class: "quiet", onclick: signOut }, "Sign out")),
    h("nav", { id: "sections", "aria-label": "Pages" },
      h("ul", {}, SECTIONS.map((one) =>
        h("li", {}, h("a", { href: to(one.key), "aria-current": here(one), onclick: () => { unfolded = false; } }, one.title))))),
    h("main", { id: "content", tabindex: "-1" },
      h("h1", { tabindex: "-1" }, title),
      h("div", { class: "lead" }, lead ?? ""),
      content));
}

/** Say who one is and of which tier, where that was not known yet when the page was shown. */
export function told(me) {
  const [shown, tier] = [".top .who", ".top .tier"].map((place) => document.querySelector(place));
  if (!shown || !tier) return;
  shown.textContent = me.email ?? "";
  shown.title = groupsOf(me);
  tier.textContent = tierOf(me);
  tier.title = lackOf(me);
}

function groupsOf(me) {
  return `groups: ${me.groups.join(", ") || "none"}`;
}

function tierOf(me) {
  return me.tier === null ? "" : `tier ${me.tier}`;
}

function lackOf(me) {
  return me.not_in_tier.length ? `no new: ${me.not_in_tier.join(", ").replaceAll("-", " ")}` : "";
}
