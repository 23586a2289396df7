// <form data-api="POST /api/...">, <button data-api="...">, and buttons that open a dialog.
//
// data-done: where to go on success: a URL ({id} is taken from the answer), "reload", or "close" for the dialog around it.
// What is entered while a form is under way stays, and counts as changed.
// data-send="query": the fields go into the query string, not into a JSON body. data-send="changes": only the fields
// that a person changed are sent, so that what others changed meanwhile stays.
// data-confirm: asked before; "{name}" in it stands for what the field of that name shows. data-effect: what will happen.
import { ApiError, parseCall, send } from "./api.js";
import { confirmed } from "./dialog.js";
import { changed, clearError, collect, fieldNamed, held, settle, showError, shownIn, toSend } from "./fields.js";
import { announce, keep } from "./messages.js";
import { refresh } from "./live.js";

function agreed(element, button) {
  if (!element.dataset.confirm) return true;
  const question = element.dataset.confirm.replace(/\{(\w+)\}/g, (found, name) => {
    const field = element.elements?.[name];
    return field && field.type !== "password" ? shownIn(field) : found;
  });
  return confirmed(question, button?.textContent, element.dataset.effect);
}

function finish(element, data) {
  const done = element.dataset.done;
  const toast = element.dataset.toast;
  const typedMeanwhile = element.elements && toSend(element, changed).length > 0; // loading the page anew would lose it
  if (done && done !== "close" && done !== "refresh" && !(done === "reload" && typedMeanwhile)) {
    if (toast) keep(toast);
    if (done === "reload") location.reload();
    else location.assign(done.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(data?.[name] ?? "")));
    return;
  }
  element.closest("dialog")?.close();
  if (toast) announce(toast);
  refresh();
}

function refused(form, error) {
  const field = fieldNamed(form, error.field);
  if (!field) return announce(error.message, "bad");
  showError(field, error.message);
  field.focus();
}

async function submit(form, button) {
  const { method, path } = parseCall(form.dataset.api);
  for (const field of form.elements) clearError(field);
  const fields = toSend(form, form.dataset.send === "changes" ? changed : undefined);
  const sent = fields.map((field) => [field, held(field)]);
  let body;
  try {
    body = collect(fields);
  } catch (error) {
    return announce(`The form cannot be sent: ${error.message}`, "bad");
  }
  if (form.dataset.send === "changes" && !Object.keys(body).length) {
    announce("Nothing was changed here, so there is nothing to save.");
    return refresh(); // others may have changed something
  }
  let target = path;
  if (form.dataset.send === "query") {
    const query = new URLSearchParams(Object.entries(body).filter(([, value]) => value !== null && value !== ""));
    target = query.size ? `${path}?${query}` : path;
    body = undefined;
  }
  if (!(await agreed(form, button))) return;
  form.setAttribute("aria-busy", "true");
  if (button) button.disabled = true;
  try {
    const { data } = await send(method, target, body);
    for (const [field, value] of sent) settle(field, value);
    form.dispatchEvent(new CustomEvent("api:done", { bubbles: true, detail: data }));
    finish(form, data);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (button) button.disabled = false; // before the focus moves
    refused(form, error);
  } finally {
    form.removeAttribute("aria-busy");
    if (button) button.disabled = false;
  }
}

async function press(button) {
  const { method, path } = parseCall(button.dataset.api);
  if (!(await agreed(button, button))) return;
  const body = button.dataset.body === undefined ? undefined : JSON.parse(button.dataset.body);
  button.disabled = true;
  button.setAttribute("aria-busy", "true");
  try {
    const { data } = await send(method, path, body);
    button.dispatchEvent(new CustomEvent("api:done", { bubbles: true, detail: data }));
    finish(button, data);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    announce(error.message, "bad");
  } finally {
    button.disabled = false;
    button.removeAttribute("aria-busy");
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-api]");
  if (!form) return;
  event.preventDefault();
  if (form.getAttribute("aria-busy") !== "true") submit(form, event.submitter);
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-api]");
  if (button) press(button);
});

document.addEventListener("input", (event) => clearError(event.target));

// A form of filters is sent as soon as one of its choices changes.
document.addEventListener("change", (event) => {
  if (event.target.matches("form[data-auto] select, form[data-auto] input[type=checkbox]")) event.target.form.requestSubmit();
});
