// Files that were uploaded, and the way to upload another.

import { get, may, send } from "../api.js";
import { h } from "../elements.js";
import { forgetUpload, unfinishedUploads } from "../kept_uploads.js";
import { allowedButton, field, filters, pages, table } from "../parts.js";
import { asking, to } from "../place.js";
import { notice, problem } from "../states.js";
import { by, size, state, when } from "../words.js";

const LIVE_MS = 4000;

export async function files(page) {
  const query = { prefix: page.query.prefix ?? "", cursor: page.query.cursor ?? "" };
  const seen = { said: null, share: null, words: "", found: [], cursor: null, upload: null, retire: null };
  seen.draw = () => {
    page.lead = () => [sender(page, seen), filters(page, field("prefix", "Name begins with", { type: "search", value: query.prefix }))];
    page.show(seen.said, listing(page, seen), pages(query, seen.cursor));
  };
  may([{ action: "UploadFile" }, { action: "RetireFile" }], page)
    .then(([upload, retire]) => { Object.assign(seen, { upload, retire }); seen.draw(); }, () => null);
  await page.live(LIVE_MS, async () => {
    const answer = await get("/files", { limit: 100, ...query }, page);
    Object.assign(seen, { found: answer.files, cursor: answer.cursor });
    seen.draw();
  });
}

function listing(page, seen) {
  return table("Files", ["Name", "State", "Size", "Uploaded", "By", ""], seen.found.map((one) => [
    [one.name, one.package && h("span", { class: "why" }, ` ${one.package.name} ${one.package.version}, `, h("code", {}, one.id))], [state(one.state), one.problem && h("span", { class: "why" }, one.problem)], size(one.size), when(one.created_at), by(one.created_by),
    one.state === "available" && h("span", { class: "row" },
      h("a", { class: "button", href: asking(to("downloads", "new"), { artifact: one.name }) }, "Download File"),
      seen.retire?.allowed && h("button", { class: "quiet", onclick: () => retire(seen, one) }, "Retire")),
  ]), "No file was uploaded, or none whose name begins so.");
}

function sender(page, seen) {
  const submit = async (event) => {
    event.preventDefault();
    const form = event.target;
    const [file] = form.elements.file.files;
    if (!file || seen.share !== null) return;
    const told = (share, words) => { Object.assign(seen, { share, words }); seen.draw(); };
    seen.said = null;
    try {
      const { upload } = await import("../upload.js");
      await upload(file, form.elements.name.value.trim() || file.name, told, page);
      form.reset();
      seen.said = () => h("p", { role: "status" }, `${file.name} was sent. It can be delivered once its digest is verified.`);
    } catch (error) {
      if (page.signal.aborted) return;
      seen.said = error instanceof TypeError ? cut : () => problem(error);
    }
    seen.share = null;
    seen.draw();
  };
  return h("form", { class: "part form", onsubmit: submit },
    field("file", "Upload a file", { type: "file", required: true }),
    field("name", "As devices get it", { placeholder: "recipes/steel.json", maxlength: 512 }, "Firmware begins with firmware/."),
    seen.share === null && unfinishedUploads().map((one) => cutOff(one, seen)),
    seen.share !== null && h("div", { role: "status" }, h("progress", { max: 1, value: seen.share, "aria-label": "sent" }), " ", seen.words),
    allowedButton("Upload", seen.upload, null, { class: "primary", disabled: seen.share !== null }));
}

function cut() {
  return notice("offline", "The upload was cut off", h("p", {}, "What was sent is kept. Press Upload again, and it goes on behind that."));
}

/** After a reload nobody but the person can give the file again. */
function cutOff({ id, name, file, size: bytes, parts, there }, seen) {
  return h("div", { class: "notice offline", "data-key": id },
    h("p", {}, h("b", {}, file), ` (${size(bytes)}) was not sent to its end: ${there.length} of ${parts} parts are there. `,
      "Choose the same file again, as ", h("code", {}, name), ", and it goes on behind them."),
    h("button", { type: "button", class: "quiet", onclick: () => { forgetUpload(id); seen.draw(); } }, "Forget it"));
}

async function retire(seen, file) {
  try {
    await send("DELETE", `/files/${encodeURIComponent(file.id)}`);
    seen.said = () => h("p", { role: "status" }, `That version of ${file.name} is delivered no more.`);
  } catch (error) {
    seen.said = () => problem(error);
  }
  seen.draw();
}
