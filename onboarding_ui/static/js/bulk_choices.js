// Modes and presets to choose from in a command to many miners: what miners of each kind on the page offer.
import { ApiError, send } from "./api.js";

const MOST_KINDS = 8; // kinds of miners that are asked
const TRIES = 2; // miners of a kind
const LONGEST_WAIT_SECONDS = 10;
const SILENT = "they do not answer now";

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
let asked = 0; // the newest question alone is shown

/** Fill the choices of `command` ("mode" or "preset") of a form. `boxes` are those of the miners that may be asked. */
export async function showChoices(form, command, boxes) {
  const select = form.elements[command];
  const mine = (asked += 1);
  const before = select.value;
  select.replaceChildren(new Option("Asking the miners …", ""));
  showUnasked(form, command, null, false);
  const told = await Promise.all(samples(boxes).map((kind) => choicesOf(kind, command)));
  if (mine !== asked) return;
  const known = new Map(); // value -> whether any miner would take it
  for (const { value, reason } of told.flatMap(({ choices }) => choices)) known.set(value, known.get(value) || reason === null);
  const reasons = told.map((kind) => kind.why).filter((why) => why !== null && !(known.size && why === SILENT));
  const why = reasons.find((one) => one !== SILENT) ?? reasons[0] ?? null;
  showUnasked(form, command, why, known.size > 0);
  const none = why ? "Not known now" : `No miner of this page offers ${command}s`;
  const options = [new Option(known.size ? `Choose a ${command}` : none, "")];
  for (const [value, free] of known) {
    const option = new Option(value, value);
    option.disabled = !free;
    options.push(option);
  }
  select.replaceChildren(...options);
  if (known.has(before)) select.value = before;
}

function showUnasked(form, command, why, some) {
  const place = form.querySelector(`[data-of="${command}"] [data-unasked]`);
  place.hidden = !why;
  place.querySelector("span").textContent = why
    ? `${some ? "Some" : "The"} miners could not be asked: ${why.replace(/[^.?!]$/, "$&.")}`
    : "";
}

/** Ids of a few miners of each kind, of those that answer; none of a kind of which no miner does. */
function samples(boxes) {
  const kinds = new Map();
  for (const box of boxes) {
    const ids = kinds.get(box.dataset.kind) ?? [];
    if (ids.length < TRIES && !box.closest("tr.offline")) ids.push(box.value);
    kinds.set(box.dataset.kind, ids);
  }
  return [...kinds.values()].slice(0, MOST_KINDS);
}

/** What miners of a kind offer: {choices, why}; `why` is why they could not be asked, null where one of them told. */
async function choicesOf(ids, command) {
  let why = ids.length ? null : SILENT;
  for (const id of ids) {
    try {
      const { data } = await offersOf(id);
      const found = data.commands.find((one) => one.command === command);
      if (found) return { choices: found.choices, why: null };
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      why = error.message;
    }
  }
  return { choices: [], why };
}

/** A miner that is busy says when it may be asked again: that is done once. */
async function offersOf(id) {
  const ask = () => send("GET", `/api/miners/${id}/commands-offered`);
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 503 || error.retryAfter === null) throw error;
    await sleep(Math.min(error.retryAfter, LONGEST_WAIT_SECONDS) * 1000);
    return ask();
  }
}
