// Short messages in the live region #messages. Bad news stays until it is dismissed; good news leaves by itself.

const KEPT = "flockwatch-message";
const GOOD_NEWS_MS = 6000;

/** Show a message. kind: "ok" or "bad". */
export function announce(text, kind = "ok") {
  const region = document.getElementById("messages");
  if (!region) return;
  for (const shown of region.children) {
    if (shown.dataset.text === text) shown.remove();
  }
  const box = document.createElement("div");
  box.className = `message ${kind}`;
  box.dataset.text = text;
  const words = document.createElement("p");
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "quiet small";
  close.setAttribute("aria-label", "Dismiss this message");
  close.textContent = "✕";
  close.addEventListener("click", () => box.remove());
  box.append(words, close);
  region.append(box);
  if (kind === "ok") setTimeout(() => box.remove(), GOOD_NEWS_MS);
}

/** Keep a message for the page that is loaded next. */
export function keep(text) {
  try {
    sessionStorage.setItem(KEPT, text);
  } catch (error) {
    console.warn("the message is not shown on the next page", error);
  }
}

/** Show what the page before kept. */
export function showKept() {
  let text = null;
  try {
    text = sessionStorage.getItem(KEPT);
    sessionStorage.removeItem(KEPT);
  } catch (error) {
    console.warn("no message of the page before", error);
  }
  if (text) announce(text);
}
