// Connected over the last day: what the log of events tells of devices that came and went, hour by hour.

import { eventsSince } from "./events.js";
import { h } from "./elements.js";

const HOUR_MS = 3_600_000;
const HOURS = 24;
const [WIDE, HIGH, BAR, GAP] = [480, 96, 20, 4];
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

/**
 * How many were connected at the end of each of the last hours, the earliest first.
 *
 * @param {Object[]} devices All that the person may view, as the API lists them.
 * @param {{signal: AbortSignal}} page Ends it.
 * @returns {Promise<{hours: {at: number, connected: number}[], from: number}>} `from`: as far back as
 *   the log goes, if that is later than a day ago.
 */
export async function lastDay(devices, page) {
  const now = Date.now();
  const begin = now - HOURS * HOUR_MS;
  const { events, from } = await eventsSince(begin, "device", page);
  const heard = new Map(devices.map(({ id }) => [id, []]));
  for (const { type, device, timestamp } of events) {
    const came = type === "device.connected";
    if (came || type === "device.disconnected") heard.get(device)?.push({ at: Date.parse(timestamp), came });
  }
  for (const told of heard.values()) told.sort((one, other) => one.at - other.at);
  const ends = Array.from({ length: HOURS }, (_, back) => now - (HOURS - 1 - back) * HOUR_MS).filter((at) => at >= from);
  return {
    from,
    hours: ends.map((at) => ({ at, connected: devices.filter((one) => (at === now ? isThere(one) : wasThere(one, heard.get(one.id), at))).length })),
  };
}

/** By the last that was told before; else it was otherwise than what was told next; else as it is. */
function wasThere(device, told, at) {
  const before = told.findLast((one) => one.at <= at);
  const next = told.find((one) => one.at > at);
  return before?.came ?? (next ? !next.came : isThere(device));
}

function isThere({ connectivity }) {
  return Boolean(connectivity?.connected);
}

/** As bars, with the same as numbers for who does not look at them. */
export function dayChart({ hours, from }, devices) {
  const most = Math.max(1, ...hours.map(({ connected }) => connected));
  const words = (one) => `${clock.format(one.at)}: ${one.connected} of ${devices}`;
  return h("figure", { class: "day" },
    h("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": `Connected devices by the hour, at most ${most} of ${devices}` },
      hours.map((one, at) => {
        const high = Math.round((one.connected / most) * (HIGH - 4));
        const place = { x: (HOURS - hours.length + at) * BAR + GAP / 2, width: BAR - GAP };
        return h("g", {}, svgTitle(words(one)), h("rect", { ...place, y: 0, height: HIGH, class: "room" }),
          h("rect", { ...place, y: HIGH - high, height: Math.max(high, 1) }));
      })),
    h("figcaption", { class: "hint" }, `${clock.format(hours[0]?.at ?? from)} to now, at the end of each hour, in your zone.`,
      hours.length < HOURS && ` The log goes back to ${clock.format(from)}.`),
    h("details", {}, h("summary", {}, "As numbers"), h("ul", { class: "hours" }, hours.map((one) => h("li", {}, words(one))))));
}

function svgTitle(text) {
  const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
  title.textContent = text;
  return title;
}
