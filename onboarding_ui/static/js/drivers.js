// Changes of drivers: the answer says in one sentence what became of each file.
import { announce } from "./messages.js";

document.addEventListener("api:done", (event) => {
  const call = event.target.dataset?.api ?? "";
  if (!call.includes("/api/miner-drivers/")) return;
  const changes = [event.detail].flat().filter((change) => change?.message);
  for (const change of changes) announce(change.message, change.error ? "bad" : "ok");
});
