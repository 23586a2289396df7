// The page of a miner: its exchanges on demand, mute for a while.
import { ApiError, send } from "./api.js";
import { announce } from "./messages.js";
import { refresh } from "./live.js";

// --- last exchanges: everything is put in as text, never as mark-up ---

function exchange(one) {
  const box = document.createElement("div");
  box.className = "exchange";
  const head = document.createElement("p");
  const request = document.createElement("code");
  request.textContent = one.request;
  const took = one.seconds === null ? "" : `, ${Math.round(one.seconds * 1000)} ms`;
  const status = one.status === null ? "" : `, status ${one.status}`;
  head.append(request, ` at ${new Date(one.at * 1000).toLocaleTimeString()}${status}${took}`);
  box.append(head);
  const body = document.createElement("pre");
  body.tabIndex = 0;
  body.textContent = one.body ?? one.error ?? "";
  if (one.error !== null) body.className = "bad";
  box.append(body);
  return box;
}

async function showExchanges(details) {
  const list = details.querySelector("[data-exchanges-list]");
  list.textContent = "Asking …";
  try {
    const { data } = await send("GET", details.dataset.exchanges);
    if (data.length) list.replaceChildren(...data.reverse().map(exchange));
    else list.textContent = "None yet. They are kept from now on; read again after the next poll.";
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    list.textContent = error.message;
  }
}

const details = document.querySelector("details[data-exchanges]");
details?.addEventListener("toggle", () => {
  if (details.open) showExchanges(details);
});
details?.querySelector("[data-exchanges-again]").addEventListener("click", () => showExchanges(details));

// --- mute ---

async function mute(button) {
  button.disabled = true;
  try {
    const until = Math.round(Date.now() / 1000) + Number(button.dataset.seconds);
    await send("PATCH", button.dataset.mute, { muted_until: until });
    announce("Muted.");
    await refresh();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    announce(error.message, "bad");
  } finally {
    button.disabled = false;
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-mute]");
  if (button) mute(button);
});
