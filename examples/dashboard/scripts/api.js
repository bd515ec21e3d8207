// The API's client: the session, the requests, the problems. Knows nothing of the page.
//
// Tokens live in this module's memory only: a reload asks for the password again, and no other script finds them in storage.

/** Seconds before its end at which an access token is exchanged. */
const REFRESH_AHEAD_MS = 60_000;

/** Why a request did not do what it should: the fields of the API's problem (RFC 9457), or the network's failure in their form. */
export class ApiProblem extends Error {
  constructor({ status = 0, title, detail = "", code = "", requestId = null, errors = [] }, retryAfter = null) {
    super(`${title}: ${detail}`);
    Object.assign(this, { status, title, detail, code, requestId, errors, retryAfter });
  }

  /** Whether the same request may well succeed later, so that a command must keep its idempotency key. */
  get isUncertain() {
    return this.status === 0 || this.status >= 500 || this.status === 429 || this.code === "idempotencyInFlight";
  }
}

/** A key for one intent: made when the user means to do something, sent again with every retry of it. */
export function newIntent() {
  return crypto.randomUUID ? crypto.randomUUID() : Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class Api {
  #base;
  #session = null;
  #refreshing = null;
  #timer = null;
  #onSignedOut;

  /** `onSignedOut(reason)` is called when the session has ended without the user's doing. */
  constructor(base, onSignedOut) {
    this.#base = base.replace(/\/+$/, "");
    this.#onSignedOut = onSignedOut;
  }

  get base() {
    return this.#base;
  }

  /** Opens a session. */
  async signIn(email, password) {
    const answer = await this.#send("/v3/sessions", { method: "POST", body: { email, password }, anonymous: true });
    this.#keep(await answer.json());
  }

  /** Ends the session here, and there if the API can be reached. */
  async signOut() {
    const token = this.#session?.accessToken;
    this.#forget();
    if (!token) return;
    const headers = { Authorization: `Bearer ${token}` };
    await fetch(`${this.#base}/v3/sessions/current`, { method: "DELETE", headers }).catch(() => null);
  }

  /** Reads a resource. `query`: parameters; null and empty ones are left out, lists are joined with commas. */
  async get(path, query = {}, signal = undefined) {
    return (await this.#send(path + queryString(query), { signal })).json();
  }

  /** Reads something that is no JSON. */
  async getBlob(path, query = {}, signal = undefined) {
    return (await this.#send(path + queryString(query), { signal, accept: "*/*" })).blob();
  }

  /** Does something once, however often it is sent with the same intent. */
  async post(path, body, intent) {
    return (await this.#send(path, { method: "POST", body, intent })).json();
  }

  async #send(path, options) {
    if (!options.anonymous) await this.#refreshIfDue();
    let response = await this.#attempt(path, options);
    // The token may have ended early, by a clock that runs ahead: one exchange, one more attempt.
    if (response.status === 401 && !options.anonymous && (await this.#refresh())) {
      response = await this.#attempt(path, options);
    }
    if (response.ok) return response;
    const problem = await problemOf(response);
    if (problem.status === 401 && !options.anonymous) this.#end("Your session has ended. Please sign in again.");
    throw problem;
  }

  async #attempt(path, { method = "GET", body, intent, signal, anonymous = false, accept = "application/json" }) {
    const headers = { Accept: accept };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (intent) headers["Idempotency-Key"] = intent;
    if (!anonymous && this.#session) headers.Authorization = `Bearer ${this.#session.accessToken}`;
    const request = { method, headers, signal, cache: "no-store", credentials: "omit" };
    if (body !== undefined) request.body = JSON.stringify(body);
    try {
      return await fetch(this.#base + path, request);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiProblem({
        title: "The API cannot be reached",
        detail: `Nothing answers at ${this.#base}, or it does not allow this page (its setting STAPE_CORS_ORIGINS must name ${location.origin}).`,
        code: "unreachable",
      });
    }
  }

  async #refreshIfDue() {
    if (this.#session && Date.parse(this.#session.expiresAt) - Date.now() < REFRESH_AHEAD_MS) await this.#refresh();
  }

  /** Exchanges the refresh token, once however many ask for it: it is good once. False when the session has ended. */
  #refresh() {
    if (!this.#session) return Promise.resolve(false);
    this.#refreshing ??= this.#exchange().finally(() => { this.#refreshing = null; });
    return this.#refreshing;
  }

  async #exchange() {
    const body = { refreshToken: this.#session.refreshToken };
    const response = await this.#attempt("/v3/sessions/refresh", { method: "POST", body, anonymous: true });
    if (response.ok) {
      const session = await response.json();
      // Signed out meanwhile: the new tokens are not wanted.
      if (this.#session) this.#keep(session);
      return Boolean(this.#session);
    }
    if (response.status === 401) {
      this.#end("Your session has ended. Please sign in again.");
      return false;
    }
    throw await problemOf(response);
  }

  #keep(session) {
    this.#session = session;
    clearTimeout(this.#timer);
    const wait = Math.max(1_000, Date.parse(session.expiresAt) - Date.now() - REFRESH_AHEAD_MS);
    // A failure is left to the next request, which tries again and can tell the user.
    this.#timer = setTimeout(() => this.#refresh().catch(() => null), wait);
  }

  #forget() {
    clearTimeout(this.#timer);
    this.#session = null;
  }

  #end(reason) {
    if (!this.#session) return;
    this.#forget();
    this.#onSignedOut(reason);
  }
}

function queryString(query) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    const text = Array.isArray(value) ? value.join(",") : value;
    if (text !== null && text !== undefined && text !== "") parameters.set(name, String(text));
  }
  const text = parameters.toString();
  return text ? `?${text}` : "";
}

async function problemOf(response) {
  const isProblem = (response.headers.get("Content-Type") ?? "").startsWith("application/problem+json");
  const body = isProblem ? await response.json().catch(() => null) : null;
  const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  const requestId = response.headers.get("X-Request-Id");
  const unknown = { title: "The API answered with an error", detail: `Status ${response.status}`, status: response.status };
  return new ApiProblem({ requestId, ...(body ?? unknown) }, Number.isFinite(seconds) ? Math.max(1, seconds) : null);
}
