// The page Flock: selection of miners, what is done with all of them, and scans.
import { ApiError, send } from "./api.js";
import { confirmed } from "./dialog.js";
import { clearError, fieldNamed, setPath, showError } from "./fields.js";
import { announce } from "./messages.js";
import { refresh } from "./live.js";

const AT_ONCE = 4; // requests under way
const POLL_MS = 1000;
const bar = document.getElementById("selection");

function boxes() {
  return [...document.querySelectorAll('#flock input[name="select"]')];
}

function chosen() {
  return boxes().filter((box) => box.checked);
}

function showSelection() {
  if (!bar) return;
  const all = boxes();
  const count = chosen().length;
  bar.hidden = count === 0 && bar.getAttribute("aria-busy") !== "true";
  bar.querySelector("[data-count]").textContent = `${count} selected`;
  const every = document.querySelector("[data-select-all]");
  if (every) {
    every.checked = count > 0 && count === all.length;
    every.indeterminate = count > 0 && count < all.length;
  }
}

/** Send `body` to each selected miner, a few at a time; say how it went. */
async function change(body) {
  const targets = chosen().map((box) => ({ id: box.value, name: box.dataset.name }));
  const progress = bar.querySelector("progress");
  const failed = [];
  let next = 0;
  let done = 0;
  progress.max = targets.length;
  progress.value = 0;
  progress.hidden = false;
  bar.setAttribute("aria-busy", "true");
  for (const button of bar.querySelectorAll("button")) button.disabled = true;
  const worker = async () => {
    while (next < targets.length) {
      const target = targets[next++];
      try {
        await send("PATCH", `/api/miners/${target.id}`, body);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        failed.push(`${target.name}: ${error.message}`);
      }
      progress.value = ++done;
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, targets.length) }, worker));
  } finally {
    progress.hidden = true;
    bar.removeAttribute("aria-busy");
    for (const button of bar.querySelectorAll("button")) button.disabled = false;
  }
  const good = targets.length - failed.length;
  if (!failed.length) announce(`${good} miner${good === 1 ? "" : "s"} changed.`);
  else {
    const shown = failed.slice(0, 5).join("; ");
    announce(`${good} of ${targets.length} changed. ${shown}${failed.length > 5 ? ` and ${failed.length - 5} more` : ""}`, "bad");
  }
  await refresh();
  showSelection();
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-select-all]")) {
    for (const box of boxes()) box.checked = event.target.checked;
  }
  if (event.target.matches('[data-select-all], input[name="select"]')) showSelection();
});
document.addEventListener("live:updated", showSelection);

bar?.addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (button?.matches("[data-select-none]")) {
    for (const box of boxes()) box.checked = false;
    showSelection();
  } else if (button?.dataset.bulk) {
    if (button.dataset.confirm && !(await confirmed(button.dataset.confirm, button.textContent))) return;
    await change(JSON.parse(button.dataset.bulk));
  }
});

bar?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  if (form.matches("[data-bulk-mute]")) {
    const seconds = form.elements.seconds.value;
    await change({ muted_until: seconds ? Math.round(Date.now() / 1000) + Number(seconds) : null });
  } else {
    await change(setPath({}, `labels.${form.elements.name.value}`, form.elements.value.value.trim() || null));
  }
});

// --- scans ---

function scanWords(scan) {
  const place = (scan.networks ?? []).join(", ");
  if (scan.state === "waiting") return "Waits for the scan before it.";
  if (scan.state === "failed") return `Failed: ${scan.error}`;
  const found = `${scan.found} miner${scan.found === 1 ? "" : "s"} found, ${scan.new} new`;
  const rest = scan.unknown ? `, ${scan.unknown} without a driver` : "";
  if (scan.state === "finished") return `Finished: ${found}${rest}, ${scan.matched} linked to a wallet.`;
  return `${scan.tried} of ${scan.addresses} addresses of ${place} tried; ${found}${rest}.`;
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function scan(form) {
  const field = form.elements.network_cidr;
  const button = form.querySelector("button[type=submit]");
  const place = form.querySelector("[data-scan-progress]");
  const progress = place.querySelector("progress");
  const words = place.querySelector("[data-scan-words]");
  const network = field.value.trim();
  clearError(field);
  button.disabled = true;
  try {
    const query = network ? `?${new URLSearchParams({ network_cidr: network })}` : "";
    const started = await send("POST", `/api/miners/scan${query}`);
    const url = started.location ?? `/api/miners/scan/${started.data.scan_id ?? started.data.id}`;
    place.hidden = false;
    for (;;) {
      const { data } = await send("GET", url);
      progress.max = Math.max(1, data.addresses);
      progress.value = data.state === "finished" ? progress.max : data.tried;
      words.textContent = scanWords(data);
      if (data.state === "finished" || data.state === "failed") break;
      await sleep(POLL_MS);
    }
    await refresh();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const wrong = fieldNamed(form, error.field);
    if (wrong) {
      showError(wrong, error.message);
      wrong.focus();
    } else announce(error.message, "bad");
  } finally {
    button.disabled = false;
  }
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-scan]")) return;
  event.preventDefault();
  scan(event.target);
});

showSelection();
