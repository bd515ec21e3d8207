// Swagger UI in a real Chromium: authorise with a key, try an operation, see its answer; nothing leaves the server.
//
// STAPE_URL and STAPE_KEY say where and as whom; TOOLS where playwright-core is, CHROMIUM the browser.
import { createRequire } from "node:module";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { chromium } = createRequire(join(process.env.TOOLS, "package.json"))("playwright-core");
const { STAPE_URL: url, STAPE_KEY: key } = process.env;

const context = await chromium.launchPersistentContext(mkdtempSync(join(tmpdir(), "chromium-")), {
  executablePath: process.env.CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
const page = await context.newPage();
const requests = [];
const errors = [];
page.on("request", (request) => requests.push(request.url()));
page.on("pageerror", (error) => errors.push(String(error)));
page.on("console", (message) => message.type() === "error" && errors.push(message.text()));

await page.goto(`${url}/docs`);
await page.getByRole("button", { name: "Authorize" }).click();
const dialog = page.locator(".modal-ux");
const scheme = dialog.locator(".auth-container", { hasText: "X-AUTH-TOKEN" });
await scheme.locator("input").fill(key);
await scheme.getByRole("button", { name: "Apply credentials" }).or(scheme.locator("button.authorize")).first().click();
await dialog.locator("button.btn-done").first().click();

const operation = page.locator("#operations-Commissions-getCommissionSummary");
await operation.scrollIntoViewIfNeeded();
await operation.locator("button.opblock-summary-control").click();
await operation.getByRole("button", { name: "Try it out" }).click();
await operation.getByRole("button", { name: "Execute", exact: true }).click();
const answer = operation.locator(".live-responses-table");
await answer.waitFor();
const text = await answer.innerText();
if (!/\b200\b/.test(text) || !text.includes("readyToPayout")) throw new Error(`no summary in the answer:\n${text}`);
console.log("ok: Swagger UI shows the summary of the commissions");

const list = page.locator("#operations-Commissions-listCommissions");
await list.scrollIntoViewIfNeeded();
await list.locator("button.opblock-summary-control").click();
await list.getByRole("button", { name: "Try it out" }).click();
await list.getByRole("button", { name: "Execute", exact: true }).click();
const rows = list.locator(".live-responses-table");
await rows.waitFor();
if (!(await rows.innerText()).includes("com_")) throw new Error("an untouched form finds nothing: examples narrow the list");
console.log("ok: an untouched form lists commissions");

if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT, fullPage: false });
await context.close();
const foreign = requests.filter((address) => !address.startsWith(url) && !/^(data|blob):/.test(address));
if (foreign.length) throw new Error(`the page asked elsewhere: ${foreign.join(", ")}`);
if (errors.length) throw new Error(`the browser complains: ${errors.join("\n")}`);
console.log(`ok: ${requests.length} requests, all of this server`);
