// <input|select data-patch="/api/miners/5" data-field="managed">: changed at once, put back when the server refuses.
import { ApiError, send } from "./api.js";
import { clearError, setPath, showError, valueOf } from "./fields.js";
import { announce } from "./messages.js";

const confirmedValues = new WeakMap(); // what the server last agreed to
const latest = new WeakMap(); // number of the newest change of a field

function shown(field) {
  return field.type === "checkbox" ? field.checked : field.value;
}

function original(field) {
  if (confirmedValues.has(field)) return confirmedValues.get(field);
  if (field.type === "checkbox") return field.defaultChecked;
  if (field.options) return [...field.options].find((option) => option.defaultSelected)?.value ?? field.options[0]?.value;
  return field.defaultValue;
}

function put(field, value) {
  if (field.type === "checkbox") field.checked = value;
  else field.value = value;
}

// The page's own idea of the value, so that a refresh does not take the field for edited.
function settle(field, value) {
  confirmedValues.set(field, value);
  if (field.type === "checkbox") field.defaultChecked = value;
  else if (field.options) for (const option of field.options) option.defaultSelected = option.value === value;
  else field.defaultValue = value;
}

async function change(field) {
  const before = original(field);
  const now = shown(field);
  const number = (latest.get(field) ?? 0) + 1;
  latest.set(field, number);
  clearError(field);
  field.setAttribute("aria-busy", "true");
  try {
    const { data } = await send("PATCH", field.dataset.patch, setPath({}, field.dataset.field, valueOf(field)));
    settle(field, now);
    field.dispatchEvent(new CustomEvent("api:done", { bubbles: true, detail: data }));
    if (field.dataset.toast && latest.get(field) === number) announce(field.dataset.toast);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (latest.get(field) === number) put(field, confirmedValues.has(field) ? confirmedValues.get(field) : before);
    if (field.type !== "checkbox" && error.field) showError(field, error.message);
    announce(`Not changed: ${error.message}`, "bad");
  } finally {
    if (latest.get(field) === number) field.removeAttribute("aria-busy");
  }
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-patch]")) change(event.target);
});

document.addEventListener("keydown", (event) => {
  const field = event.target;
  if (!field.matches?.("input[data-patch]") || field.type === "checkbox") return;
  if (event.key === "Escape") {
    put(field, original(field));
    clearError(field);
  } else if (event.key === "Enter") {
    event.preventDefault();
    field.blur(); // fires "change" where the value differs
  }
});
