// Audit: who did what by which policy; one command from the click to the device; the trail to keep.

import { get, getText } from "../api.js";
import { h } from "../elements.js";
import { choice, facts, field, filters, listed, pages, part, table } from "../parts.js";
import { asking, tenant, to } from "../place.js";
import { loading, problem } from "../states.js";
import { actionWords, instant, state } from "../words.js";

const FILTERS = ["since", "until", "who", "action", "device", "decision", "command", "cursor"];

export async function audit(page) {
  const query = Object.fromEntries(FILTERS.map((name) => [name, page.query[name] ?? ""]));
  const asked = { ...query, since: inUtc(query.since), until: inUtc(query.until) };
  const seen = { said: null, chain: null };
  page.lead = () => filters(page,
    field("since", "Since", { type: "datetime-local", value: query.since }), field("until", "Until", { type: "datetime-local", value: query.until }),
    field("who", "Who", { value: query.who }), field("action", "Action", { value: query.action, placeholder: "DownloadFile" }),
    field("device", "Device", { value: query.device }),
    choice("decision", "Decision", [["", "any"], ["ALLOW", "allowed"], ["DENY", "denied"]], query.decision),
    field("command", "What it led to", { value: query.command }));
  seen.draw = () => shown(page, seen, query);
  page.show(loading());
  const [found, chain] = await Promise.all([get("/audit", { limit: 50, ...asked }, page), get("/audit/chain", {}, page)]);
  Object.assign(seen, { found, chain });
  seen.draw();
}

function shown(page, seen, query) {
  const entry = seen.found.entries.find(({ id }) => id === page.query.entry);
  page.show(seen.said,
    query.command && followed(seen.found.entries, query.command),
    entry && part("One entry", details(entry)),
    table("The trail", ["When", "Who", "Did", "On", "Decision", "Policies", ""], seen.found.entries.map((one) => row(one, query)),
      seen.found.cursor ? "None among these. There are more to look at: the next page." : "Nothing matches. Without a beginning the last seven days are shown."),
    pages(query, seen.found.cursor),
    kept(page, seen));
}

function row(one, query) {
  const who = one.principal ?? one.who;
  return [
    instant(one.at), h("a", { href: asking(location.pathname, { ...query, who: one.who, cursor: "" }) }, nameOf(one, who)),
    one.kind === "outcome" ? "came of it" : actionWords(one.action ?? "–"), resourceOf(one),
    one.decision ? state(one.decision === "ALLOW" ? "allowed" : "denied") : outcomeOf(one.outcome),
    listed(one.policies, "–"),
    h("a", { href: asking(location.pathname, { ...query, entry: one.id }), "aria-label": `More of ${one.id}` }, "More"),
  ];
}

function nameOf(one, who) {
  return one.claims?.email ?? who.split("|").at(-1);
}

function resourceOf({ resource, device }) {
  const [, kind, id] = /^(?:\w+::)?(\w+)::"(.*)"$/.exec(resource ?? "") ?? [];
  const name = (id ?? resource ?? device ?? "–").split("/").at(-1);
  return kind === "Device" ? h("a", { href: to("devices", name) }, name) : name;
}

function outcomeOf(outcome) {
  return typeof outcome === "string" ? state(outcome) : state(outcome?.state ?? "unknown");
}

function details(one) {
  const came = one.about.command ?? one.about.download;
  return [
    facts([
      ["When", instant(one.at)], ["Who", nameOf(one, one.principal ?? one.who)], ["Did", actionWords(one.action ?? "–")], ["On", resourceOf(one)],

      ["Subject", one.subject ?? "–"], ["Reason", one.emergency_reason ?? one.reason ?? "–"], ["From", one.source_ip ?? "–"],
      ["Decided by", one.decided_by ?? "–"], ["Request", h("code", {}, one.request_id ?? "–")], ["Digest", h("code", {}, one.digest)],
      ...(came ? [["What came of it", h("a", { href: asking(to("audit"), { command: came }) }, "follow it")]] : []),
      ...(one.about.command ? [["Command", h("a", { href: to("commands", one.about.command) }, one.about.command)]] : []),
      ...(one.about.download ? [["Download", h("a", { href: to("downloads", one.about.download) }, one.about.download)]] : []),
    ]),
    [["Changed", one.change], ["What policies saw", one.asked], ["Outcome", one.outcome]].filter(([, what]) => what)
      .map(([name, what]) => [h("p", { class: "why" }, name), h("pre", { tabindex: "0", "aria-label": name }, JSON.stringify(what, null, 2))]),
  ];
}

/** From the click to the device, the first step first. */
function followed(entries, id) {
  const steps = [...entries].sort((one, other) => one.at.localeCompare(other.at));
  return part("From the click to the device", h("ol", { class: "steps" }, steps.map((one) => h("li", {},
    instant(one.at), " ", h("b", {}, one.kind === "outcome" ? "The device" : nameOf(one, one.principal ?? one.who)), " ",
    one.kind === "outcome" ? ["says ", outcomeOf(one.outcome)] : [`asked to ${actionWords(one.action ?? "act")} `, state(one.decision === "ALLOW" ? "allowed" : "denied"), ` by ${listed(one.policies, "no policy")}`]))),
  h("p", {}, h("a", { href: to("commands", id) }, "The command itself")));
}

function kept(page, seen) {
  const { chain } = seen;
  return part("The chain",
    facts([["Links", chain.links], ["Entries in them", chain.entries], ["Not yet in one", chain.open_entries],
      ["Head", h("code", {}, chain.head ?? "–")],
      ["Signed up to", chain.signed ? [`link ${chain.signed.number}, `, instant(chain.signed.at)] : "nothing yet"],
      ...(chain.signed ? [["Key", h("code", {}, chain.signed.key)]] : [])]),
    h("p", { class: "row" }, h("button", { disabled: seen.saving, onclick: () => save(page, seen, 1) }, "Save the trail"),
      h("span", { class: "why" }, "JSON Lines; ", h("code", {}, "python -m service verify-audit FILE"), " checks it without us.")));
}

/** As many files as the answer has parts: each says with which link the next one begins. */
async function save(page, seen, first) {
  seen.saving = true;
  seen.draw();
  try {
    for (let from = first; from;) {
      const text = await getText("/audit/export", { first: from }, page);
      const end = JSON.parse(text.trimEnd().split("\n").at(-1));
      if (end.line !== "end") throw new TypeError("the export was cut off");
      offered(`audit-${tenant}-${from}.jsonl`, text);
      from = end.body.next;
    }
    seen.said = () => h("p", { role: "status" }, "The trail is saved.");
  } catch (error) {
    if (page.signal.aborted) return;
    seen.said = () => problem(error);
  }
  seen.saving = false;
  seen.draw();
}

function offered(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "application/x-ndjson" }));
  const link = document.createElement("a");
  Object.assign(link, { href: address, download: name });
  link.dataset.plain = "";
  link.click();
  URL.revokeObjectURL(address);
}

function inUtc(local) {
  return local ? new Date(local).toISOString() : "";
}
