// Every page, by the path that leads to it; a new one is a file beside `pages/devices.js` and a line here.

import { devices } from "./pages/devices.js";
import { device } from "./pages/device.js";
import { deliver } from "./pages/deliver.js";
import { download } from "./pages/download.js";
import { downloads } from "./pages/downloads.js";
import { commands } from "./pages/commands.js";
import { command } from "./pages/command.js";
import { campaigns } from "./pages/campaigns.js";
import { campaign } from "./pages/campaign.js";
import { files } from "./pages/files.js";
import { people } from "./pages/people.js";
import { permissions } from "./pages/permissions.js";
import { activity } from "./pages/activity.js";
import { audit } from "./pages/audit.js";
import { group, groups } from "./pages/groups.js";
import { grants } from "./pages/grants.js";
import { machines } from "./pages/machines.js";
import { whyPage } from "./pages/why.js";
import { overview } from "./pages/overview.js";

export const SECTIONS = [
  { key: "overview", title: "Overview" },
  { key: "activity", title: "Activity" },
  { key: "devices", title: "Devices" },
  { key: "groups", title: "Groups" },
  { key: "downloads", title: "Downloads" },
  { key: "commands", title: "Commands" },
  { key: "campaigns", title: "Campaigns" },
  { key: "files", title: "Files" },
  { key: "people", title: "People" },
  { key: "permissions", title: "Who may do what" },
  { key: "grants", title: "Grants" },
  { key: "machines", title: "Machines" },
  { key: "audit", title: "Audit" },
];

const titles = new Map(SECTIONS.map(({ key, title }) => [key, title]));

function list(section, run) {
  return { section, run, title: () => titles.get(section), matches: (path) => path.length === 1 && path[0] === section };
}

function one(section, run) {
  return { section, run, title: ([, name]) => name, matches: (path) => path.length === 2 && path[0] === section };
}

export const PAGES = [
  list("overview", overview),
  list("activity", activity),
  list("devices", devices),
  one("devices", device),
  list("groups", groups),
  one("groups", group),
  list("downloads", downloads),
  { section: "downloads", run: deliver, title: () => "Download File", matches: ([first, second, ...rest]) => first === "downloads" && second === "new" && rest.length === 0 },
  { ...one("downloads", download), title: () => "Download" },
  list("commands", commands),
  { ...one("commands", command), title: () => "Command" },
  list("campaigns", campaigns),
  { ...one("campaigns", campaign), title: () => "Campaign" },
  list("files", files),
  list("people", people),
  list("permissions", permissions),
  { section: "permissions", run: whyPage, title: () => "Why, and what if", matches: (path) => path.length === 2 && path[0] === "permissions" && path[1] === "why" },
  list("grants", grants),
  list("machines", machines),
  list("audit", audit),
];
