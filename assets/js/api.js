// What the server is asked. Every answer that is an error becomes an ApiError with the server's own words.

/** What the server said no to; status 0: it can't be reached. */
export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** `GET path`, with the parameters that have a value. */
export function get(path, parameters = {}, signal = undefined) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "") query.set(name, value);
  }
  return ask("GET", query.size ? `${path}?${query}` : path, undefined, signal);
}

export const post = (path, body = {}) => ask("POST", path, body);
export const patch = (path, body) => ask("PATCH", path, body);
export const remove = (path) => ask("DELETE", path);

/** A file as the answer to `body`, handed to the browser's downloads. */
export async function download(path, body, name) {
  const answer = await send("POST", path, body);
  const address = URL.createObjectURL(await answer.blob());
  const link = document.createElement("a");
  link.href = address;
  link.download = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") ?? "")?.[1] ?? name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

async function ask(method, path, body, signal) {
  const answer = await send(method, path, body, signal);
  return answer.status === 204 ? null : answer.json();
}

async function send(method, path, body, signal) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-Sessionfs"] = "dashboard";
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "unreachable", "The server can't be reached. Is it running?");
  }
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

async function refusal(answer) {
  const told = await answer.json().catch(() => ({}));
  const wrong = told.error?.details?.errors?.[0];
  const message = wrong ? `${wrong.loc?.at(-1)}: ${wrong.msg}` : told.error?.message ?? `The server answered ${answer.status} ${answer.statusText}`.trim();
  const error = new ApiError(answer.status, told.error?.code ?? "", message);
  if (answer.status === 401) window.dispatchEvent(new CustomEvent("signed-out", { detail: error }));
  return error;
}
