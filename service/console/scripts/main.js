// The console: finds the page that a path names, shows it, and keeps the frame around it.

import { h, morph } from "./elements.js";
import { asking, base, parts, tenant, to } from "./place.js";
import { begin, finish, isOpen, onEnded, onRenewed, SessionEnded } from "./session.js";
import { get } from "./api.js";
import { isFollowing, listen } from "./events.js";
import { frame, told } from "./frame.js";
import { loading, notice, problem } from "./states.js";
import { theme } from "./theme.js";
import { welcome } from "./welcome.js";
import { PAGES } from "./pages.js";

const LIVE_MS = 1000;
const root = document.getElementById("console");
let leaving = new AbortController();
let me = null;
let shown = null;

theme.apply();
// A step within the page, as to its content, is none to another page.
addEventListener("popstate", () => (location.pathname + location.search === shown ? null : open()));
addEventListener("click", followed);
addEventListener("online", open);
onEnded(open);
onRenewed(() => { me = null; });
await start();

async function start() {
  if (!tenant) {
    root.replaceChildren(welcome(location.pathname));
    return;
  }
  localStorage.setItem("tenant", tenant);
  if (parts()[0] === "signed-in") {
    try {
      history.replaceState(null, "", await finish());
    } catch (error) {
      history.replaceState(null, "", base);
      alone(error instanceof SessionEnded
        ? notice("failed", "You are not signed in", [h("p", {}, `The sign-in page said: ${error.message}.`), signInButton()])
        : problem(error));
      return;
    }
  }
  if (await isOpen()) await open();
  else alone(h("section", { class: "welcome" },
    h("h1", { tabindex: "-1" }, tenant), h("p", {}, "Sign in to see and manage the devices of this tenant."),
    signInButton(), h("p", {}, h("a", { href: "/", "data-plain": true }, "Another tenant"))));
}

function signInButton() {
  return h("button", { class: "primary", onclick: begin }, "Sign in");
}

/** Show the page that the path names. */
async function open() {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const path = parts();
  shown = location.pathname + location.search;
  const found = PAGES.find(({ matches }) => matches(path));
  if (!found) {
    history.replaceState(null, "", to("devices"));
    return open();
  }
  const page = pageOf(found, path, signal);
  page.show(loading());
  focusTitle();
  try {
    // Most pages ask their own questions meanwhile.
    await Promise.all([page.who(), found.run(page)]);
  } catch (error) {
    if (error.name === "AbortError" || signal.aborted) return undefined;
    if (error instanceof SessionEnded) me = null;
    page.show(problem(error, { again: open }));
  }
  return undefined;
}

/** What a page is given. */
function pageOf(found, path, signal) {
  let known = null;
  return {
    me,
    /** Who one is, once that is known. */
    async who() {
      known ??= me ?? get("/me", {}, { signal });
      this.me = me = await known;
      if (!signal.aborted) told(me);
      return me;
    },
    path,
    query: Object.fromEntries(new URLSearchParams(location.search)),
    signal,
    title: found.title(path),
    show(...content) {
      if (signal.aborted) return;
      document.title = `${this.title} – ${tenant} – Cedarfleet`;
      morphed(frame({ section: found.section, title: this.title, lead: this.lead, me: this.me, content }));
    },
    /**
     * Do this now and again and again, until the page is left; not while nobody looks.
     *
     * @param {number} milliseconds Between two times, while nobody tells what happens.
     * @param {() => Promise<string|void>} work "done": not again.
     * @param {{heeds: (event: Object) => boolean, quiet: number, gap: number}} [live] Which events it
     *   is done at once for, and while they are told: how long after the last time it is done none
     *   the less, and how long after it at the earliest.
     */
    async live(milliseconds, work, live = null) {
      let [timer, begun] = [null, 0];
      const again = (wait) => {
        clearTimeout(timer);
        timer = setTimeout(next, wait);
      };
      let isAsking = false;
      let isDue = false;
      const next = async () => {
        if (signal.aborted) return;
        let wait = live && isFollowing() ? live.quiet : milliseconds;
        if (!document.hidden) {
          [isAsking, isDue, begun] = [true, false, performance.now()];
          try {
            if ((await work()) === "done") { forget(); return; }
          } catch (error) {
            if (signal.aborted) return;
            if (error instanceof SessionEnded) me = null;
            this.show(problem(error, { again: open }));
            const isOver = error.status === 403 && error.kind !== "tenant-suspended";
            if (error instanceof SessionEnded || isOver || error.status === 404) { forget(); return; }
            wait = Math.max(wait, 4 * LIVE_MS);
            isDue = false;
          }
          isAsking = false;
        }
        again(isDue ? live.gap : wait);
      };
      const forget = live ? listen((event) => {
        if (event !== null && !live.heeds(event)) return;
        isDue = true;
        if (!isAsking) again(Math.max(0, begun + live.gap - performance.now()));
      }) : () => null;
      signal.addEventListener("abort", forget, { once: true });
      await next();
    },
    go(address) {
      history.pushState(null, "", address);
      open();
    },
    /** Another query of this page, which can be gone back from and reloaded. */
    ask(query) {
      this.go(asking(location.pathname, query));
    },
    again: open,
  };
}

function morphed(wanted) {
  if (root.firstElementChild?.className === wanted.className) morph(root.firstElementChild, wanted);
  else root.replaceChildren(wanted);
}

function alone(content) {
  document.title = `${tenant} – Cedarfleet`;
  root.replaceChildren(h("main", { class: "alone", id: "content" }, content));
}

function followed(event) {
  const link = event.target.closest?.("a[href]");
  const other = event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
  if (!link || other || link.dataset.plain !== undefined || link.origin !== location.origin) return;
  if (!tenant || !link.pathname.startsWith(base)) return;
  event.preventDefault();
  history.pushState(null, "", link.pathname + link.search);
  open();
  scrollTo(0, 0);
}

/** Who listens is told that another page is there. */
function focusTitle() {
  root.querySelector("h1")?.focus({ preventScroll: true });
}
