// Who may do what: for one action on one device, group or the tenant, every group and person; and
// what the person may do, action by action, on devices.

import { get, may, send } from "../api.js";
import { h } from "../elements.js";
import { choice, field, filters, listed, part, table } from "../parts.js";
import { to } from "../place.js";
import { nothing, problem, refusalWords } from "../states.js";
import { why } from "../why.js";
import { actionWords, state } from "../words.js";

const ON_DEVICES = ["ViewDevice", "OperateDevice", "MaintainDevice", "SetParameters", "StopDevice", "DownloadFile", "UpdateFirmware", "ChangeState", "ConfigureDevice", "SetDeviceGroups", "SetDeviceTags", "RetireDevice"];
const ON_TENANT = ["ListDevices", "RegisterDevice", "ViewFile", "UploadFile", "RetireFile", "ViewPeople", "ManagePeople"];
const SHOWN_DEVICES = 8;

export async function permissions(page) {
  const action = page.query.action ?? "DownloadFile";
  const device = page.query.device ?? "";
  const isOfTenant = ON_TENANT.includes(action);
  page.lead = () => filters(page,
    choice("action", "Action", [...ON_DEVICES, ...ON_TENANT].map((one) => [one, actionWords(one)]), action),
    field("device", "Device", { value: device }, isOfTenant ? "This action is asked of the tenant itself." : null));
  const { devices } = await get("/devices", { limit: SHOWN_DEVICES }, page);
  const asked = isOfTenant ? { action } : { action, device: device || devices[0]?.id };
  const [who, mine] = await Promise.all([whoMay(asked, page), matrix(devices, page)]);
  page.show(
    part(isOfTenant ? `Who may ${actionWords(action)}` : `Who may ${actionWords(action)} on ${asked.device ?? "a device"}`, who),
    part("What you may do", mine));
}

async function whoMay(asked, page) {
  if (!asked.device && !ON_TENANT.includes(asked.action)) return nothing("There is no device that you may view.");
  try {
    const { groups, people } = await send("POST", "/permissions/who", asked, page);
    return [
      table("Groups", ["Group", "Decision", "Why"], groups.map((one) => [one.group, decision(one), whyOf(one)]), "No policy names a group."),
      table("People", ["Person", "Groups", "Decision", "Why"], people.map((one) => [one.email, listed(one.groups), decision(one), [whyOf(one), " ", why(page, { ...asked, person: one.id })]]), "There is nobody."),
    ];
  } catch (error) {
    if (page.signal.aborted) throw error;
    return problem(error);
  }
}

async function matrix(devices, page) {
  if (devices.length === 0) return nothing("There is no device that you may view.");
  const checks = devices.flatMap(({ id }) => ON_DEVICES.map((action) => ({ action, device: id })));
  const answers = await may(checks, page);
  return table("What you may do to each device", ["Device", ...ON_DEVICES.map(actionWords)], devices.map(({ id }, at) => [
    h("a", { href: to("devices", id) }, id),
    ...ON_DEVICES.map((_, column) => cell(page, checks[at * ON_DEVICES.length + column], answers[at * ON_DEVICES.length + column])),
  ]), "");
}

/** Each leads to why it is so, and to what would make it otherwise. */
function cell(page, check, answer) {
  const words = `${actionWords(check.action)} on ${check.device}: ${answer.allowed ? "allowed" : "denied"}. ${whyOf(answer)} Why?`;
  const link = why(page, check, decision(answer));
  link.setAttribute("title", words);
  link.setAttribute("aria-label", words);
  return link;
}

function decision({ allowed }) {
  return state(allowed ? "allowed" : "denied");
}

function whyOf(answer) {
  return answer.allowed ? listed(answer.policies) : refusalWords(answer);
}
