// Every page, by the path that leads to it; a new one is a file beside `pages/devices.js` and a line here.

import { devices } from "./pages/devices.js";
import { device } from "./pages/device.js";
import { deliver } from "./pages/deliver.js";
import { download } from "./pages/download.js";
import { downloads } from "./pages/downloads.js";
import { commands } from "./pages/commands.js";
import { command } from "./pages/command.js";
import { files } from "./pages/files.js";
import { people } from "./pages/people.js";
import { permissions } from "./pages/permissions.js";
import { overview } from "./pages/overview.js";

export const SECTIONS = [
  { key: "overview", title: "Overview" },
  { key: "devices", title: "Devices" },
  { key: "downloads", title: "Downloads" },
  { key: "commands", title: "Commands" },
  { key: "files", title: "Files" },
  { key: "people", title: "People" },
  { key: "permissions", title: "Who may do what" },
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
  list("devices", devices),
  one("devices", device),
  list("downloads", downloads),
  { section: "downloads", run: deliver, title: () => "Download File", matches: ([first, second, ...rest]) => first === "downloads" && second === "new" && rest.length === 0 },
  { ...one("downloads", download), title: () => "Download" },
  list("commands", commands),
  { ...one("commands", command), title: () => "Command" },
  list("files", files),
  list("people", people),
  list("permissions", permissions),
];
