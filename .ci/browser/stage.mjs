// What the browser finds: the demonstration with CORS on, on a port and a database of its own, and the page on another origin.

import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";

const START_MS = 120_000;
const TYPES = {
  ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
};

/** Opens both; `close()` ends them and tells the server's exit status. */
export async function openStage({ root, server }) {
  const page = await servePage(join(root, "examples/dashboard"));
  const directory = await mkdtemp(join(tmpdir(), "dashboard-"));
  const api = await startDemo(server, directory, page.origin).catch(async (error) => {
    page.close();
    await rm(directory, { recursive: true, force: true });
    throw error;
  });
  return {
    origin: page.origin,
    api: api.base,
    email: api.found("Partner's login: (\\S+) with"),
    password: api.found("with the password (\\S+)"),
    partner: client(api.base, { "X-AUTH-TOKEN": api.found("Partner's key:\\s+(\\S+)") }),
    operator: client(api.base, { "X-AUTH-TOKEN": api.found("Operator's key: (\\S+)") }),
    close: async () => {
      page.close();
      const status = await api.end();
      await rm(directory, { recursive: true, force: true });
      return status;
    },
  };
}

async function servePage(directory) {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://page");
    const path = normalize(pathname === "/" ? "/index.html" : pathname);
    try {
      const content = await readFile(join(directory, path));
      response.writeHead(200, { "Content-Type": TYPES[extname(path)] ?? "application/octet-stream" }).end(content);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => { server.listen(0, "127.0.0.1", resolve); });
  const close = () => { server.close(); server.closeAllConnections(); };
  return { origin: `http://127.0.0.1:${server.address().port}`, close };
}

async function startDemo(server, directory, origin) {
  const settings = { STAPE_BIND: "127.0.0.1:0", STAPE_CORS_ORIGINS: origin, DATABASE_URL: "sqlite://demo.db", RUST_LOG: "warn" };
  const child = spawn(server, ["demo"], { cwd: directory, env: { ...process.env, ...settings }, stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  const ended = new Promise((resolve) => { child.on("exit", (status) => resolve(status)); });
  child.stdout.on("data", (text) => { log += text; });
  child.stderr.on("data", (text) => { log += text; });
  const end = () => { child.kill("SIGTERM"); return ended; };
  const found = (pattern) => {
    const match = new RegExp(pattern).exec(log);
    if (!match) throw new Error(`the demonstration does not print ${pattern}:\n${log}`);
    return match[1];
  };
  const until = Date.now() + START_MS;
  while (!/^listening on http/m.test(log)) {
    if (child.exitCode !== null || Date.now() > until) {
      await end();
      throw new Error(`the demonstration does not listen:\n${log}`);
    }
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
  return { base: found("listening on (\\S+)"), found, end };
}

/** The API without a browser, for what the page's figures are compared with. */
export function client(base, headers) {
  const send = async (method, path, body, more = {}) => {
    const response = await fetch(base + path, {
      method, headers: { ...headers, ...more, ...(body && { "Content-Type": "application/json" }) }, body: body && JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text;
  };
  return {
    get: async (path) => JSON.parse(await send("GET", path)),
    text: (path) => send("GET", path),
    post: async (path, body, key) => JSON.parse(await send("POST", path, body, key && { "Idempotency-Key": key })),
    remove: (path) => send("DELETE", path),
  };
}

/** The API as a person who signs in. */
export async function signedIn(base, email, password) {
  const { accessToken } = await client(base, {}).post("/v3/sessions", { email, password });
  return client(base, { Authorization: `Bearer ${accessToken}` });
}
