// <time datetime="..." data-local>: shown in the reader's own clock.

function localTimes() {
  for (const time of document.querySelectorAll("time[data-local]")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) time.textContent = at.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  }
}

document.addEventListener("live:updated", localTimes);
localTimes();
