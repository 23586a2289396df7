// Commands to one miner: what it offers is fetched when the page is there, and each command is followed to its end.
import { ApiError, send } from "./api.js";
import { announce } from "./messages.js";
import { load, refresh } from "./live.js";
import { morph } from "./morph.js";

const POLL_MS = 1000;
const followed = new Set(); // ids of commands
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// --- what the miner offers ---

let asking = null;

/** Ask the miner what it offers, once at a time; what a person has begun to fill in stays. */
function showOffers() {
  asking ??= fetchOffers().finally(() => (asking = null));
  return asking;
}

async function fetchOffers() {
  const place = document.getElementById("offered");
  if (!place) return;
  place.setAttribute("aria-busy", "true");
  try {
    const fresh = (await load(place.dataset.offers)).getElementById("offered");
    if (!fresh) throw new Error("The page of the commands is not there.");
    morph(place, fresh);
  } catch (error) {
    const words = error.name === "TimeoutError" || error instanceof TypeError ? "Flockwatch does not answer." : error.message;
    place.replaceChildren(sorry(words));
  } finally {
    place.removeAttribute("aria-busy");
  }
}

function sorry(words) {
  const box = document.createElement("p");
  box.className = "quiet-text";
  const again = document.createElement("button");
  again.type = "button";
  again.className = "small";
  again.dataset.offersAgain = "";
  again.textContent = "Ask again";
  box.append(`What it offers is not known: ${words} `, again);
  return box;
}

document.addEventListener("click", (event) => {
  if (event.target.closest("button[data-offers-again]")) showOffers();
});

// --- commands that run ---

function line(id) {
  return document.querySelector(`[data-command="${id}"]`);
}

async function follow(id) {
  if (followed.has(id)) return;
  followed.add(id);
  try {
    for (;;) {
      const { data } = await send("GET", `/api/commands/${id}`);
      if (data.state !== "running") break;
      await sleep(POLL_MS);
    }
    await Promise.all([refresh(), showOffers()]);
    const said = line(id)?.dataset;
    if (said?.said) announce(said.said, said.kind);
  } catch (error) {
    followed.delete(id);
    if (!(error instanceof ApiError)) throw error;
    announce(`What became of the command is not known: ${error.message}`, "bad");
  }
}

// --- what the page shows ---

function answers() {
  return document.querySelector("[data-answers]")?.dataset.answers;
}

let answered = answers();

function look() {
  for (const running of document.querySelectorAll('[data-command][data-state="running"]')) follow(running.dataset.command);
  const now = answers();
  if (now !== answered) showOffers(); // it came or went
  answered = now;
}

document.addEventListener("api:done", (event) => {
  const run = event.detail;
  if (run?.command && run.id && event.target.closest("#offered")) follow(String(run.id));
});
document.addEventListener("live:updated", look);
if (document.querySelector("#offered[data-fetch]")) showOffers();
look();
