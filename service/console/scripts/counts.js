// How often there is which: as bars with their numbers, and in words.

import { h } from "./elements.js";
import { state } from "./words.js";

const MOST_BARS = 10;

/** How often each name is there. */
export function often(names) {
  const counts = new Map();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

/** How often there is which; the numbers stand beside the bars. */
export function bars(counts, addressOf, shown = state) {
  const most = Math.max(1, ...counts.values());
  const entries = [...counts].sort(([, one], [, other]) => other - one).slice(0, MOST_BARS);
  if (entries.length === 0) return h("p", {}, "Nothing yet.");
  return h("ul", { class: "bars" }, entries.map(([name, count]) =>
    h("li", {}, h("a", { href: addressOf(name) }, shown(name)),
      h("meter", { min: 0, max: most, value: count, "aria-label": name.replaceAll("_", " ") }), h("span", { class: "number" }, count))));
}

/** How many devices are in which state. */
export function counted(counts) {
  const some = Object.entries(counts).filter(([, count]) => count > 0);
  return some.length > 0 ? some.map(([name, count]) => `${count} ${name.replaceAll("_", " ")}`).join(", ") : "–";
}
