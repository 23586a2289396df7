// Calls of the REST API.

/** A refused or failed call. `field` is the name of the field that is wrong, or null; `status` 0 where no answer came. */
export class ApiError extends Error {
  constructor(message, field, status) {
    super(message);
    this.field = field;
    this.status = status;
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
    throw new ApiError("Flockwatch does not answer. Is it running? Nothing was changed.", null, 0);
  }
  const data = await readJson(response);
  if (!response.ok) {
    const message = data?.error ?? `The server answered ${response.status} ${response.statusText}`.trim();
    throw new ApiError(
      response.status === 401 ? "You are signed out. Sign in on another tab, then try again." : message,
      data?.field ?? null,
      response.status,
    );
  }
  return { status: response.status, data, location: response.headers.get("Location") };
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
