// Calls of the REST API.

const READING = new Set(["GET", "HEAD"]);
const OF_A_GATEWAY = new Set([502, 504]); // it lost the answer, or never got one
let ended = 0; // changes that were answered or lost

/** How many changes have ended: a page that was asked for before one of them may show the state before it. */
export function changesEnded() {
  return ended;
}

/**
 * A refused or failed call. `field` is the name of the field that is wrong, or null; `status` 0 where no answer came;
 * `retryAfter` the seconds after which it may go well, null where the answer tells none.
 */
export class ApiError extends Error {
  constructor(message, field, status, retryAfter = null) {
    super(message);
    this.field = field;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** Split "POST /api/wallets" into its method and path. */
export function parseCall(call) {
  const [method, path] = call.trim().split(/\s+/, 2);
  return { method: method.toUpperCase(), path };
}

/**
 * Call the API. `body` undefined sends none.
 * Resolves to {status, data, location}; data is null where the answer has no JSON. Rejects with ApiError.
 * A change without an answer may have been made or not; the event "api:lost" says that the page should look.
 */
export async function send(method, path, body, signal) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, {
      method,
      headers,
      signal,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    count(method);
    throw lost(method);
  }
  count(method);
  const data = await readJson(response);
  if (OF_A_GATEWAY.has(response.status) && typeof data?.error !== "string") throw lost(method);
  if (!response.ok) {
    const message = data?.error ?? `The server answered ${response.status} ${response.statusText}`.trim();
    throw new ApiError(
      response.status === 401 ? "You are signed out. Sign in on another tab, then try again." : message,
      data?.field ?? null,
      response.status,
      secondsOf(response.headers.get("Retry-After")),
    );
  }
  return { status: response.status, data, location: response.headers.get("Location") };
}

function count(method) {
  if (!READING.has(method)) ended += 1;
}

function secondsOf(header) {
  return /^\d+$/.test(header ?? "") ? Number(header) : null;
}

function lost(method) {
  if (READING.has(method)) return new ApiError("Flockwatch does not answer. Is it running?", null, 0);
  document.dispatchEvent(new CustomEvent("api:lost"));
  return new ApiError(
    "No answer came from Flockwatch. It is not known whether the change was made; look before you repeat it.",
    null,
    0,
  );
}

async function readJson(response) {
  if (!(response.headers.get("Content-Type") ?? "").includes("json")) return null;
  try {
    return await response.json();
  } catch (error) {
    console.warn("an answer that is no JSON", error);
    return null;
  }
}
