// <input|select data-patch="/api/miners/5" data-field="managed">: changed at once, put back when the server refuses.
// A field has one request under way at a time. What is chosen meanwhile waits for it, and only the newest choice is sent.
import { ApiError, send } from "./api.js";
import { clearError, held, heldAtFirst, put, setPath, settle, showError, valueOf } from "./fields.js";
import { announce } from "./messages.js";

const busy = new WeakSet(); // fields with a request under way

/** Send what a field shows until the server has it, or refuses the newest. */
async function change(field) {
  if (busy.has(field)) return;
  busy.add(field);
  field.setAttribute("aria-busy", "true");
  try {
    let sent;
    let known;
    do {
      sent = held(field);
      clearError(field);
      known = await sendOne(field, sent);
    } while (held(field) !== sent && !(known && held(field) === heldAtFirst(field)));
  } finally {
    busy.delete(field);
    field.removeAttribute("aria-busy");
  }
}

/** Resolves to whether it is known what the server has now. */
async function sendOne(field, value) {
  try {
    const { data } = await send("PATCH", field.dataset.patch, setPath({}, field.dataset.field, valueOf(field)));
    settle(field, value);
    field.dispatchEvent(new CustomEvent("api:done", { bubbles: true, detail: data }));
    if (field.dataset.toast && held(field) === value) announce(field.dataset.toast);
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const known = error.status !== 0;
    if (held(field) !== value) return known; // there is a newer choice, and what comes of that one is told
    put(field, heldAtFirst(field));
    if (field.type !== "checkbox" && error.field) showError(field, error.message);
    announce(known ? `Not changed: ${error.message}` : error.message, "bad");
    return true; // the page looks for itself
  }
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-patch]")) change(event.target);
});

document.addEventListener("keydown", (event) => {
  const field = event.target;
  if (!field.matches?.("input[data-patch]") || field.type === "checkbox") return;
  if (event.key === "Escape") {
    put(field, heldAtFirst(field));
    clearError(field);
  } else if (event.key === "Enter") {
    event.preventDefault();
    field.blur(); // fires "change" where the value differs
  }
});
