// Make a part of the page look like a newer one without replacing what stays: focus, typed text, checked boxes, opened
// <details> and scroll positions survive. Children are matched by data-key or id, else by their place.
// A subtree with data-keep is left alone, and so is what waits for an answer and what is said to be wrong with a field.
import { held, heldAtFirst } from "./fields.js";

function keyOf(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.dataset?.key ?? (node.id || null) : null;
}

function alike(one, other) {
  return one.nodeType === other.nodeType && one.nodeName === other.nodeName && keyOf(one) === keyOf(other);
}

// What is sent as soon as it is changed: where it has the focus, nobody is half through with it.
const AT_ONCE = "[type=checkbox], [type=radio], select[data-patch]";

function edited(field) {
  if (field === document.activeElement && !field.matches(AT_ONCE)) return true;
  return held(field) !== heldAtFirst(field);
}

function attributes(from, to, skipped) {
  for (const { name } of [...from.attributes]) {
    if (!skipped.has(name) && !to.hasAttribute(name)) from.removeAttribute(name);
  }
  for (const { name, value } of [...to.attributes]) {
    if (!skipped.has(name) && from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
}

const SENDERS = new Set(["BUTTON", "FORM", "INPUT", "SELECT", "TEXTAREA"]);
const NONE = new Set();
const OPEN = new Set(["open"]);
const OF_FIELDS = new Set(["value", "checked", "aria-invalid", "aria-busy", "disabled"]);

function field(from, to) {
  const keeps = edited(from);
  attributes(from, to, OF_FIELDS);
  if (keeps) return;
  from.disabled = to.disabled;
  if (from.type === "checkbox" || from.type === "radio") {
    from.defaultChecked = to.defaultChecked;
    from.checked = to.defaultChecked;
  } else if (from.nodeName === "SELECT") {
    children(from, to);
    from.value = to.value;
  } else if (from.nodeName === "TEXTAREA") {
    from.defaultValue = to.defaultValue;
    from.value = to.defaultValue;
  } else {
    from.defaultValue = to.defaultValue;
    from.value = to.defaultValue;
  }
}

// Sent, and not answered yet.
function waits(control) {
  return SENDERS.has(control.nodeName) && control.getAttribute("aria-busy") === "true";
}

function element(from, to) {
  if (from.hasAttribute("data-keep") || from.isEqualNode(to)) return;
  if (waits(from) || from.classList.contains("field-error")) return;
  if (["INPUT", "SELECT", "TEXTAREA"].includes(from.nodeName)) return field(from, to);
  if (from.nodeName === "DIALOG") return; // what a person has open is theirs
  attributes(from, to, from.nodeName === "DETAILS" ? OPEN : NONE);
  children(from, to);
}

function node(from, to) {
  if (from.nodeType === Node.ELEMENT_NODE) element(from, to);
  else if (from.data !== to.data) from.data = to.data;
}

function move(parent, child, before) {
  // moveBefore keeps focus and state where the browser has it; only nodes of this document can be moved with it.
  if (parent.moveBefore && child.isConnected) parent.moveBefore(child, before);
  else parent.insertBefore(child, before);
}

function children(from, to) {
  const keyed = new Map();
  for (const child of from.children) if (keyOf(child)) keyed.set(keyOf(child), child);
  const wanted = new Set([...to.children].map(keyOf).filter(Boolean));
  let place = from.firstChild;
  for (const next of [...to.childNodes]) {
    // What is gone from the page leaves first, so that the rows after it need not move.
    while (place && keyOf(place) && !wanted.has(keyOf(place))) {
      const gone = place;
      place = place.nextSibling;
      gone.remove();
    }
    const key = keyOf(next);
    const known = key ? keyed.get(key) : place && !keyOf(place) && alike(place, next) ? place : null;
    if (known && known.nodeName === next.nodeName) {
      if (known === place) place = place.nextSibling;
      else move(from, known, place);
      node(known, next);
    } else {
      from.insertBefore(document.importNode(next, true), place);
    }
  }
  while (place) {
    const gone = place;
    place = place.nextSibling;
    gone.remove();
  }
}

/** Morph `from` (in the page) into `to` (of another document). */
export function morph(from, to) {
  const focused = document.activeElement;
  const range = focused && "selectionStart" in focused ? [focused.selectionStart, focused.selectionEnd] : null;
  element(from, to);
  if (focused && focused !== document.activeElement && focused.isConnected && from.contains(focused)) {
    focused.focus({ preventScroll: true });
    if (range && range[0] !== null) focused.setSelectionRange(...range);
  }
}
