// <button data-rename="/api/miners/5" data-value="hall-1-07">: put a text field in the place of the name beside it.
import { ApiError, send } from "./api.js";
import { clearError, showError } from "./fields.js";
import { announce } from "./messages.js";
import { refresh } from "./live.js";

const LONGEST_NAME = 64;

function editor(button) {
  const place = button.closest("[data-inline]");
  const form = document.createElement("form");
  form.className = "inline-edit";
  const field = document.createElement("input");
  field.type = "text";
  field.name = "name";
  field.value = button.dataset.value ?? "";
  field.maxLength = LONGEST_NAME;
  field.autocomplete = "off";
  field.spellcheck = false;
  field.setAttribute("aria-label", button.getAttribute("aria-label") ?? "New name");
  const save = document.createElement("button");
  save.className = "primary small";
  save.textContent = "Save";
  const cancel = document.createElement("button");
  cancel.type = "button";
  cancel.className = "small";
  cancel.textContent = "Cancel";
  form.append(field, save, cancel);
  return { place, form, field, save, cancel };
}

function open(button) {
  const { place, form, field, save, cancel } = editor(button);
  const shown = [...place.childNodes];
  const close = () => {
    place.removeAttribute("data-keep");
    place.replaceChildren(...shown);
    button.focus();
  };
  cancel.addEventListener("click", close);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const name = field.value.trim();
    clearError(field);
    save.disabled = true;
    try {
      await send("PATCH", button.dataset.rename, { name: name || null });
      button.dataset.value = name;
      const words = shown.flatMap((node) => (node.querySelector ? [node, ...node.querySelectorAll("*")] : []));
      const label = words.find((node) => node.matches("[data-name]"));
      if (label && name) label.textContent = name;
      close();
      announce(name ? `Named ${name}.` : "The name is gone; the device's own one is shown.");
      await refresh();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      showError(field, error.message);
      field.focus();
    } finally {
      save.disabled = false;
    }
  });
  place.setAttribute("data-keep", "");
  place.replaceChildren(form);
  field.focus();
  field.select();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-rename]");
  if (button) open(button);
});
