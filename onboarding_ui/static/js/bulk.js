// The page Flock: one command to many miners. First it is looked ahead (nothing is sent), then a person confirms it.
import { ApiError, send } from "./api.js";
import { showChoices } from "./bulk_choices.js";
import { clearError, collect, fieldNamed, showError, shownIn, toSend } from "./fields.js";

const POLL_MS = 400;
const MOST_NAMES = 6;
const CHOSEN = new Set(["mode", "preset"]); // commands with a choice that the miners tell
const RESTART_STAGGER_SECONDS = 2; // as the API has it where nothing else is said

const dialog = document.getElementById("bulk-commands");
const form = dialog?.querySelector("form");
const outlook = dialog?.querySelector("[data-outlook]");
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
let round = 0; // grows when what is under way is no longer wanted
let ready = null; // {path, body} that was looked ahead

const miners = (count) => `${count} miner${count === 1 ? "" : "s"}`;

// --- to whom ---

function boxes() {
  return [...document.querySelectorAll('#flock input[name="select"]')];
}

function ids(to) {
  if (to === "chosen") return boxes().filter((box) => box.checked).map((box) => Number(box.value));
  return (document.getElementById("matching")?.dataset.ids ?? "").split(",").filter(Boolean).map(Number);
}

/** The boxes of the miners that may be asked what they offer. */
function askable() {
  return form.elements.to.value === "chosen" ? boxes().filter((box) => box.checked) : boxes();
}

function open() {
  const chosen = ids("chosen").length;
  const matching = ids("matching").length;
  form.querySelector("[data-count-chosen]").textContent = `The ${miners(chosen)} selected`;
  form.querySelector("[data-count-matching]").textContent = `All ${matching} of the list, on every page`;
  form.querySelector(".to-whom").hidden = matching <= chosen;
  form.elements.to.value = "chosen";
  showForm();
  showFields();
  dialog.showModal();
}

// --- the form ---

function showForm() {
  round += 1;
  ready = null;
  form.hidden = false;
  outlook.hidden = true;
  form.querySelector("progress").hidden = true;
  form.querySelector("button[type=submit]").disabled = false;
  for (const place of dialog.querySelectorAll("[data-wrong]")) place.hidden = true;
}

function showFields() {
  const command = form.elements.command.value;
  for (const group of form.querySelectorAll("[data-of]")) {
    group.hidden = group.dataset.of !== command;
    group.disabled = group.hidden;
  }
  if (CHOSEN.has(command)) showChoices(form, command, askable());
}

function wrong(place, error) {
  if (!(error instanceof ApiError)) throw error;
  const field = place === form ? fieldNamed(form, error.field) : null;
  if (field && !field.matches(":disabled")) {
    const folded = field.closest("details");
    if (folded) folded.open = true;
    showError(field, error.message);
    field.focus();
    return;
  }
  const line = place.querySelector("[data-wrong]");
  line.textContent = error.message;
  line.hidden = false;
}

// --- look ahead, then go ---

/** The order and the question about it; "{n}" in the question stands for how many. */
function order() {
  const { to, command, ...body } = collect(toSend(form));
  const ask = form.elements.command.selectedOptions[0].dataset.ask;
  const question = ask.replace(/\{(\w+)\}/g, (found, name) => (form.elements[name] ? shownIn(form.elements[name]) : found));
  return { path: `/api/bulk/${command}`, body: { ...body, miners: ids(to) }, question };
}

async function lookAhead() {
  const mine = round;
  const { path, body, question } = order();
  const progress = form.querySelector("progress");
  const button = form.querySelector("button[type=submit]");
  button.disabled = true;
  progress.max = body.miners.length;
  progress.value = 0;
  progress.hidden = false;
  try {
    let { data } = await send("POST", path, { ...body, dry_run: true });
    while (data.state === "running") {
      await sleep(POLL_MS);
      if (mine !== round) return;
      ({ data } = await send("GET", `/api/bulk/${data.id}?results=none`));
      progress.value = data.miners - (data.counts.waiting ?? 0);
    }
    ({ data } = await send("GET", `/api/bulk/${data.id}`));
    if (mine === round) showOutlook(path, body, question, data.results);
  } catch (error) {
    if (mine === round) wrong(form, error);
  } finally {
    if (mine === round) {
      progress.hidden = true;
      button.disabled = false;
    }
  }
}

function item(words, count, names = []) {
  const line = document.createElement("li");
  const shown = names.slice(0, MOST_NAMES).join(", ");
  const rest = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : "";
  line.textContent = shown ? `${shown}${rest}: ${words}` : `${miners(count)}: ${words}`;
  return line;
}

function byWords(results, words) {
  const found = new Map();
  for (const result of results) found.set(words(result), [...(found.get(words(result)) ?? []), result.name]);
  return [...found];
}

/** How fast they are told. When the last one is nobody knows: each is under way until its effect was seen. */
function paceOf(path, body, count) {
  const apart = body.stagger_seconds ?? (path.endsWith("/restart") ? RESTART_STAGGER_SECONDS : 0);
  const parts = [];
  if (apart > 0 && count > 1) parts.push(`at least ${apart} s apart`);
  if (count > body.parallel) parts.push(`at most ${body.parallel} at once`);
  return parts.length ? `They are told ${parts.join(", ")}.` : "";
}

function showOutlook(path, body, question, results) {
  const able = results.filter((result) => result.state === "would send");
  const rest = results.filter((result) => result.state !== "would send");
  const all = rest.length ? `${able.length} of ${miners(results.length)}` : miners(able.length);
  const go = outlook.querySelector("[data-go]");
  ready = { path, body: { ...body, miners: able.map((result) => result.miner_id) } };
  outlook.querySelector("[data-question]").textContent = able.length
    ? question.replace("{n}", all)
    : "None of these miners can do that now.";
  const effects = byWords(able, (result) => result.effect ?? "").map(([words, names]) => item(words, names.length));
  outlook.querySelector("[data-effects]").replaceChildren(...effects);
  const pace = outlook.querySelector("[data-pace]");
  pace.textContent = paceOf(path, body, able.length);
  pace.hidden = !pace.textContent;
  outlook.querySelector("[data-without]").hidden = !rest.length;
  outlook.querySelector("[data-without-count]").textContent = `Nothing is sent to ${miners(rest.length)}:`;
  outlook
    .querySelector("[data-reasons]")
    .replaceChildren(...byWords(rest, (result) => result.words ?? result.state).map(([words, names]) => item(words, 0, names)));
  go.hidden = !able.length;
  go.disabled = false;
  go.textContent = `${form.elements.command.selectedOptions[0].textContent}: ${miners(able.length)}`;
  form.hidden = true;
  outlook.hidden = false;
  (able.length ? outlook.querySelector("[data-back]") : outlook).focus();
}

async function goOn(button) {
  button.disabled = true;
  outlook.querySelector("[data-wrong]").hidden = true;
  try {
    const { data } = await send("POST", ready.path, ready.body);
    location.assign(`/bulk/${data.id}`);
  } catch (error) {
    button.disabled = false;
    wrong(outlook, error);
  }
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-bulk-open]") && dialog) open();
});
form?.addEventListener("change", (event) => {
  if (["command", "to"].includes(event.target.name)) showFields();
});
form?.addEventListener("submit", (event) => {
  event.preventDefault();
  for (const field of form.elements) clearError(field);
  form.querySelector("[data-wrong]").hidden = true;
  lookAhead();
});
form?.addEventListener("click", (event) => {
  if (event.target.closest("button[data-ask-again]")) showFields();
});
dialog?.addEventListener("close", () => {
  round += 1;
  form.elements.password.value = "";
});
outlook?.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.matches("[data-back]")) showForm();
  else if (button?.matches("[data-go]")) goOn(button);
});
