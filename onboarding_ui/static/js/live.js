// <section id="x" data-live="10">: fetched anew every 10 s from the page's own URL and morphed in place.
import { changesEnded } from "./api.js";
import { morph } from "./morph.js";

const PATIENCE_MS = 15000;
const TICK_MS = 500;
const TRIES = 3; // of a page that a change overtakes
const due = new Map(); // id of a section -> time it is refreshed next
let running = false;
let lastGood = new Date();

function sections() {
  return [...document.querySelectorAll("[data-live][id]")];
}

function period(section) {
  return Math.max(1, Number(section.dataset.live) || 10) * 1000;
}

function stale(why) {
  const banner = document.getElementById("stale");
  if (!banner) return;
  banner.hidden = why === null;
  const text = why === null ? "" : `Not up to date since ${lastGood.toLocaleTimeString()}: ${why}`;
  if (banner.textContent !== text) banner.textContent = text;
}

/** A page of the program as a document. */
export async function load(url) {
  const response = await fetch(url, {
    headers: { Accept: "text/html" },
    credentials: "same-origin",
    cache: "no-store",
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  if (response.status === 401 || (response.redirected && new URL(response.url).pathname === "/sign-in")) {
    throw new Error("you are signed out; load the page again to sign in.");
  }
  if (!response.ok) throw new Error(`Flockwatch answered ${response.status}.`);
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

// What was asked for before a change ended would show the old state again.
async function loadSettled(url) {
  for (let left = TRIES; ; left -= 1) {
    const before = changesEnded();
    const page = await load(url);
    if (before === changesEnded() || left <= 1) return page;
  }
}

async function update(chosen, url = location.href) {
  running = true;
  try {
    const fresh = await loadSettled(url);
    for (const section of chosen) {
      const next = fresh.getElementById(section.id);
      if (section.isConnected && next) morph(section, next);
    }
    lastGood = new Date();
    stale(null);
    document.dispatchEvent(new CustomEvent("live:updated"));
  } catch (error) {
    stale(error.name === "TimeoutError" || error instanceof TypeError ? "Flockwatch does not answer." : error.message);
  } finally {
    running = false;
    const now = Date.now();
    for (const section of chosen) due.set(section.id, now + period(section));
  }
}

// One at a time: an answer that was asked for before a change would show the old state again.
let queue = Promise.resolve();

function enqueue(url) {
  queue = queue.then(() => update(sections(), url));
  return queue;
}

/** Refresh all live sections now. */
export function refresh() {
  return enqueue(location.href);
}

/** Show the same page at another URL (other query) without leaving it. */
export async function swap(url) {
  history.replaceState(null, "", url);
  await enqueue(url);
}

function tick() {
  if (document.hidden || running) return;
  const now = Date.now();
  const chosen = sections().filter((section) => {
    if (!due.has(section.id)) due.set(section.id, now + period(section));
    return due.get(section.id) <= now;
  });
  if (chosen.length) queue = queue.then(() => update(chosen));
}

setInterval(tick, TICK_MS);
document.addEventListener("visibilitychange", tick);
document.addEventListener("api:lost", refresh);
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-swap]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  swap(link.href);
});
