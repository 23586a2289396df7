// The page of a wallet: what came of "Ask the pool now", which answers at most once a minute.
import { announce } from "./messages.js";

/** What to tell of a wallet's answer; `before` is when the pool had answered for what the page shows, as text. */
function words({ asking, error, statistics }, before) {
  if (asking) return ["The pool is being asked. Its answer is shown as soon as it comes."];
  if (error) return [`The pool's figures could not be had: ${error}`, "bad"];
  if (!statistics) return ["The pool has told nothing yet. It is asked at most once a minute."];
  if (statistics.refreshed_at !== Number(before)) return ["The pool has answered."];
  return ["The pool was asked less than a minute ago; that answer is shown."];
}

document.addEventListener("api:done", (event) => {
  if (event.target.closest("#ask") === null) return;
  const shown = document.querySelector("[data-refreshed-at]")?.dataset.refreshedAt;
  announce(...words(event.detail, shown));
});
