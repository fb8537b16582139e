// A planned download as it goes: its waves, the second person's word, pause and going on.

import { send } from "../api.js";
import { h } from "../elements.js";
import { allowedButton, facts, part, table } from "../parts.js";
import { problem } from "../states.js";
import { instant, state } from "../words.js";

/** What is shown of it; nothing of one that was not planned. */
export function rollout(found, seen, isOver) {
  if (!found.rollout) return null;
  const { waves, needs_approval: needs, approved_by: by, paused_at: paused } = found.rollout;
  const act = (what, words) => () => acted(found, seen, what, words);
  return part("Waves",
    facts([
      ["Second person", needs ? (by ?? "awaited") : "not asked for"],
      ["Paused", paused ? instant(paused) : "no"],
      ...(found.why ? [["Why", found.why]] : []),
    ]),
    table("Waves", ["Wave", "Devices", "State", "Began"], waves.map((one, at) => [
      at + 1, one.devices, state(one.began_at ? "begun" : isOver ? "never begun" : "waiting"), instant(one.began_at),
    ]), "It has no wave yet."),
    !isOver && found.state !== "canceling" && h("p", { class: "row" },
      // Whether this person may hangs on who asked for it, which only the API's answer to it knows.
      found.state === "awaiting_approval" && h("button", { class: "primary", onclick: act("approve", "Approved: it begins.") }, "Approve"),
      paused ? allowedButton("Go on", seen.cancel, act("resume", "It goes on; each device is decided again."))
        : allowedButton("Pause", seen.cancel, act("pause", "Nothing more begins until it goes on."))));
}

async function acted(found, seen, what, words) {
  try {
    await send("POST", `/downloads/${encodeURIComponent(found.id)}/${what}`);
    seen.said = () => h("p", { role: "status" }, words);
  } catch (error) {
    seen.said = () => problem(error);
  }
  seen.draw();
}
