// What fields of a form hold, and errors beside them.

/**
 * The value of a field as its data-type says:
 * "number", "bool", "json", "null-if-empty", "epoch" (a local date and time as Unix seconds), "omit-if-empty" (leaves an
 * empty one out); text without one. An empty number, json or epoch is null. data-scale: what the API wants is so many
 * times the number.
 */
export function valueOf(field) {
  const type = field.dataset.type ?? (field.type === "checkbox" ? "bool" : "text");
  if (type === "bool") return field.type === "checkbox" ? field.checked : field.value === "true";
  const text = field.value;
  if (text === "" && type === "omit-if-empty") return undefined; // JSON leaves it out
  if (text === "" && type !== "text") return null;
  if (type === "number") return scaled(Number(text), Number(field.dataset.scale ?? 1));
  if (type === "json") return JSON.parse(text);
  if (type === "epoch") return Math.round(new Date(text).getTime() / 1000);
  return text;
}

// Without the last binary digits of the product: 1150 mV are 1.15 V.
function scaled(number, scale) {
  return Number((number * scale).toPrecision(12));
}

/** What a person sees in a field, with its data-unit. */
export function shownIn(field) {
  const words = field.selectedOptions ? (field.selectedOptions[0]?.textContent ?? "") : field.value;
  return field.dataset.unit ? `${words} ${field.dataset.unit}` : words;
}

/** Put `value` into `target` under `name`; "labels.site" makes {labels: {site: value}}. */
export function setPath(target, name, value) {
  const parts = name.split(".");
  const last = parts.pop();
  let place = target;
  for (const part of parts) place = place[part] ??= {};
  place[last] = value;
  return target;
}

const isTick = (field) => field.type === "checkbox" || field.type === "radio";

/** What a field holds: whether it is ticked, or its text. */
export function held(field) {
  return isTick(field) ? field.checked : field.value;
}

/** What it held when the page came, or was refreshed last. */
export function heldAtFirst(field) {
  if (isTick(field)) return field.defaultChecked;
  if (!field.options) return field.defaultValue;
  const options = [...field.options]; // a list without a choice shows its first one
  return (options.find((option) => option.defaultSelected) ?? options[0])?.value ?? "";
}

/** Whether a person changed a field. data-suggested: what it came with is not stored yet, so it counts as changed. */
export function changed(field) {
  return field.hasAttribute("data-suggested") || held(field) !== heldAtFirst(field);
}

/** Have a field hold `value`. */
export function put(field, value) {
  if (isTick(field)) field.checked = value;
  else field.value = value;
}

/** `value` of a field was sent and is stored now. What a person entered meanwhile stays; passwords leave the page. */
export function settle(field, value) {
  const now = held(field);
  if (field.type === "password") {
    if (now === value) field.value = "";
    return;
  }
  field.removeAttribute("data-suggested");
  if (isTick(field)) field.defaultChecked = value;
  else if (field.options) for (const option of field.options) option.defaultSelected = option.value === value;
  else field.defaultValue = value;
  if (held(field) !== now) put(field, now);
}

/** The fields of a form that are sent; `only` says which of them, all where it is left out. */
export function toSend(form, only = () => true) {
  return [...form.elements].filter((field) => {
    if (!field.name || field.matches(":disabled") || field.type === "submit" || field.type === "button") return false;
    return (field.type !== "radio" || field.checked) && only(field);
  });
}

/** The values of fields as an object. */
export function collect(fields) {
  const body = {};
  for (const field of fields) setPath(body, field.name, valueOf(field));
  return body;
}

/** The place for an error of a field; made after the field where the page has none. */
function errorPlace(field) {
  const own = (field.getAttribute("aria-describedby") ?? "")
    .split(/\s+/)
    .filter(Boolean)
    .map((id) => document.getElementById(id))
    .find((found) => found?.classList.contains("field-error"));
  if (own) return own;
  const place = document.createElement("p");
  place.className = "field-error";
  place.id = `${field.id || `field-${crypto.getRandomValues(new Uint32Array(1))[0]}`}-error`;
  (field.closest("label") ?? field).after(place);
  field.setAttribute("aria-describedby", `${field.getAttribute("aria-describedby") ?? ""} ${place.id}`.trim());
  return place;
}

/** Say beside a field what is wrong with it. The API's "name: is empty" needs no name there. */
export function showError(field, message) {
  const place = errorPlace(field);
  const words = message.replace(/^[\w.]+: /, "");
  place.textContent = words.charAt(0).toUpperCase() + words.slice(1);
  place.hidden = false;
  field.setAttribute("aria-invalid", "true");
}

/** Take the error of a field away. */
export function clearError(field) {
  if (field.getAttribute("aria-invalid") !== "true") return;
  field.removeAttribute("aria-invalid");
  const place = errorPlace(field);
  place.textContent = "";
  place.hidden = true;
}

/** The field of a form that an error names: the name itself, or the first one below it ("labels" -> "labels.site"). */
export function fieldNamed(form, name) {
  if (!name) return null;
  const fields = [...form.elements].filter((field) => field.name && field.type !== "hidden");
  return (
    fields.find((field) => field.name === name) ?? fields.find((field) => field.name.startsWith(`${name}.`)) ?? null
  );
}
