// Times, sizes, states and actions as people read them.

import { h } from "./elements.js";
import { myself } from "./session.js";

const zone = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const sinceThen = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });
const STEPS = [["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]];
const SHORT = 13; // characters of an id: tells two apart
const GOOD = new Set(["succeeded", "available", "connected", "active", "confirmed", "allowed", "open", "settled", "begun", "holds", "ended"]);
const BAD = new Set(["failed", "rejected", "refused", "expired", "interrupted", "timed_out", "unconfirmed", "removed", "denied", "revoked", "partly_failed", "stopped"]);
const GOING = new Set(["created", "sending", "sent", "publishing", "published", "received", "in_progress", "queued", "canceling", "verifying", "uploading", "awaiting_approval", "revoking", "making", "pending", "paused", "waiting"]);

/** `SetDeviceGroups` as `set device groups`. */
export function actionWords(action) {
  return action.replace(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase();
}

/** An instant: how long ago, and in the person's own zone when one points at it. */
export function when(text) {
  if (!text) return "–";
  const at = new Date(text);
  const seconds = Math.round((at - Date.now()) / 1000);
  const [unit, size] = STEPS.find(([, size]) => Math.abs(seconds) >= size) ?? STEPS.at(-1);
  const words = sinceThen.format(Math.trunc(seconds / size), unit);
  return h("time", { datetime: text, title: zone.format(at) }, words);
}

/** An instant in the person's own zone. */
export function instant(text) {
  return text ? h("time", { datetime: text }, zone.format(new Date(text))) : "–";
}

/** An instant to come: how long until then, and when that is. */
export function until(text) {
  return text ? [when(text), " – ", instant(text)] : "–";
}

/** Bytes in the unit that suits them. */
export function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const number = bytes / 1024 ** step;
  return `${number >= 100 || step === 0 ? Math.round(number) : number.toFixed(1)} ${units[step]}`;
}

/** A state with a mark that does not stand on its colour alone. */
export function state(name) {
  const kind = GOOD.has(name) ? "good" : BAD.has(name) ? "bad" : GOING.has(name) ? "going" : "none";
  return h("span", { class: `state ${kind}` }, name.replaceAll("_", " "));
}

/** Whether a device is connected, as far as somebody heard. */
export function connection(device) {
  if (device.retired_at) return state("retired");
  if (!device.enrolled) return state("not enrolled");
  return state(device.connectivity?.connected ? "connected" : "away");
}

/** Whoever did it: the person who looks, or the end of an id; the whole is told to who points at it. */
export function by(id) {
  if (!id) return "–";
  if (id === myself()) return "you";
  const name = id.split("|").at(-1);
  return h("span", { title: id }, name.length > SHORT ? `${name.slice(0, SHORT)}…` : name);
}

/** Values of a device or a command: what is no text is shown as JSON. */
export function value(given) {
  if (given === null || given === undefined) return "–";
  return typeof given === "string" ? given : h("code", {}, JSON.stringify(given));
}
