// Dialogs: "are you sure?" and those of the page (<button data-dialog="id">, <button data-close>).

/**
 * Ask; resolves to whether the person agreed. `action` are the words of the button that was pressed, `effect` a sentence
 * on what will happen.
 */
export function confirmed(question, action = "Go on", effect = "") {
  const dialog = document.createElement("dialog");
  dialog.className = "confirm";
  dialog.setAttribute("aria-labelledby", "confirm-question");
  const words = document.createElement("p");
  words.id = "confirm-question";
  words.textContent = question;
  const more = document.createElement("p");
  more.id = "confirm-effect";
  more.textContent = effect;
  more.hidden = !effect;
  if (effect) dialog.setAttribute("aria-describedby", more.id);
  const form = document.createElement("form");
  form.method = "dialog";
  form.className = "actions";
  const cancel = document.createElement("button");
  cancel.value = "no";
  cancel.textContent = "Cancel";
  const go = document.createElement("button");
  go.value = "yes";
  go.className = "primary";
  go.textContent = action.trim() || "Go on";
  form.append(cancel, go);
  dialog.append(words, more, form);
  document.body.append(dialog);
  dialog.showModal();
  cancel.focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}

document.addEventListener("click", (event) => {
  const opener = event.target.closest("button[data-dialog]");
  if (opener) document.getElementById(opener.dataset.dialog)?.showModal();
  const closer = event.target.closest("[data-close]");
  if (closer) closer.closest("dialog")?.close();
});
