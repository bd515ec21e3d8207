// Every screen when something fails: what the API says is shown, and trying again helps. Faults of the server are put in its
// place by the browser; refusals are the server's own wherever it can be brought to refuse.

import assert from "node:assert/strict";

import { signedIn } from "./stage.mjs";
import { has, openVisit } from "./visit.mjs";

/** What fails where: the screen, the path, how to get there, and how many panels show it. */
const FAULTS = [
  { screen: "Home", path: /\/v3\/dashboard$/ },
  { screen: "Home", path: /\/v3\/program$/ },
  { screen: "Home", path: /\/v3\/commissions\/time-series$/ },
  { screen: "Home", path: /\/v3\/commissions\/maturing$/ },
  { screen: "Users", path: /\/v3\/sub-accounts$/ },
  { screen: "Users", path: /\/v3\/commissions\/by-container$/, reach: (page) => page.getByRole("button", { name: "By container" }).click() },
  { screen: "Users", path: /\/v3\/containers$/, reach: (page) => page.locator(".row-button").first().click() },
  { screen: "Users", path: /\/v3\/sub-accounts\/export$/, reach: (page) => page.getByRole("button", { name: "CSV" }).click() },
  { screen: "Commissions", path: /\/v3\/commissions$/ },
  { screen: "Commissions", path: /\/explanation$/, reach: (page) => page.locator(".row-button").first().click() },
  { screen: "Commissions", path: /\/v3\/commissions\/export$/, reach: (page) => page.getByRole("button", { name: "CSV" }).click() },
  { screen: "Payouts", path: /\/v3\/payouts$/ },
  { screen: "Payouts", path: /\/v3\/payouts\/preview$/ },
  { screen: "Payouts", path: /\/lines$/, reach: (page) => page.locator(".row-button").first().click() },
  { screen: "Payouts", path: /\/v3\/payouts\/export$/, reach: (page) => page.getByRole("button", { name: "CSV" }).click() },
  { screen: "Referral", path: /\/v3\/referral-links$/ },
  { screen: "Referral", path: /\/stats$/ },
  { screen: "Referral", path: /\/qr\.svg$/ },
  { screen: "Referral", path: /\/v3\/badge$/ },
];

const PROBLEM = {
  type: "/docs/errors/internalError", title: "Something broke here", status: 500, code: "internalError",
  detail: "the request was not carried out", requestId: "req-0123456789", instance: "/v3",
};

export async function fail(browser, stage, report) {
  await refusedSignIns(browser, stage);
  report("failure: wrong password, unreachable API, too many attempts");
  const visit = await openVisit(browser, stage);
  await visit.signIn();
  for (const fault of FAULTS) {
    await recover(visit, stage, fault);
    report(`failure: ${fault.screen}, ${fault.path.source.replaceAll("\\", "")}`);
  }
  await hostileText(visit, stage);
  report("failure: markup in a problem stays text");
  await tooMany(visit, stage);
  report("failure: 429 waits for Retry-After");
  await refusedCancel(visit, stage);
  report("failure: a payout that was approved meanwhile");
  await visit.close();
  await revoked(browser, stage);
  report("failure: a session that was ended elsewhere");
  await blocked(browser, stage);
  report("failure: a blocked account");
}

/** Lets a path fail, looks at the panel, heals it and tries again. */
async function recover(visit, stage, { screen, path, reach }) {
  const { page } = visit;
  await visit.go(screen === "Home" ? "Users" : "Home");
  await page.route((url) => path.test(url.pathname), (route) => route.fulfill(answer(stage, PROBLEM)));
  await visit.go(screen);
  if (reach) await reach(page);
  const panel = page.locator(".problem");
  await panel.first().waitFor();
  has(await panel.first().innerText(), [PROBLEM.title, "The request was not carried out", PROBLEM.requestId], `${screen}: problem`);
  await page.unrouteAll();
  await panel.first().getByRole("button", { name: "Try again" }).click();
  await panel.first().waitFor({ state: "detached" });
  await visit.settled();
  await visit.escape();
}

function answer(stage, problem, headers = {}) {
  return {
    status: problem.status, contentType: "application/problem+json", body: JSON.stringify(problem),
    headers: { "Access-Control-Allow-Origin": stage.origin, "Access-Control-Expose-Headers": "retry-after, x-request-id", ...headers },
  };
}

async function hostileText(visit, stage) {
  const { page } = visit;
  await visit.go("Home");
  const title = '<img src=x onerror="document.title=1"> & <b>bold</b>';
  await page.route((url) => url.pathname === "/v3/payouts/preview", (route) => route.fulfill(answer(stage, { ...PROBLEM, title })));
  await visit.go("Payouts");
  has(await page.locator(".problem").innerText(), [title], "the title as text");
  assert.equal(await page.locator(".problem img, .problem b").count(), 0, "no element from text");
  await page.unrouteAll();
}

async function tooMany(visit, stage) {
  const { page } = visit;
  await visit.go("Home");
  let refused = 0;
  await page.route((url) => url.pathname === "/v3/payouts/preview", (route) => {
    refused += 1;
    if (refused > 1) return route.fallback();
    return route.fulfill(answer(stage, { ...PROBLEM, status: 429, code: "rateLimited", title: "Too many requests" }, { "Retry-After": "3" }));
  });
  await visit.go("Payouts");
  const button = page.locator(".problem button");
  assert.match(await button.innerText(), /^Trying again in [123] s$/);
  assert.ok(await button.isDisabled(), "not before the time");
  const started = Date.now();
  await page.locator(".preview").first().waitFor();
  assert.ok(Date.now() - started > 1_500, "it waited");
  assert.equal(refused, 2, "one more request, by itself");
  await page.unrouteAll();
}

/** The operator approves a payout while the partner looks at it: the server's own refusal of the cancellation. */
async function refusedCancel(visit, stage) {
  const { page } = visit;
  const { data: [payout] } = await stage.partner.get("/v3/payouts?status=requested&limit=1");
  await visit.go("Payouts");
  await page.getByRole("button", { name: `Payout ${payout.number}: show` }).click();
  await stage.operator.post(`/v3/operator/payouts/${payout.id}/approve`, {});
  await page.getByRole("button", { name: "Cancel this payout" }).click();
  await page.getByRole("button", { name: "Cancel the payout" }).click();
  const panel = page.locator(".question .problem");
  await panel.waitFor();
  has(await panel.innerText(), ["approved", "Request "], "the refusal names the state");
  assert.equal(await panel.getByRole("button").count(), 0, "trying again would not help");
  await page.getByRole("button", { name: "Keep it" }).click();
  await visit.escape();
}

async function refusedSignIns(browser, stage) {
  const visit = await openVisit(browser, stage);
  const { page } = visit;
  await visit.open();
  await visit.submit(stage.email, "not the password");
  has(await page.locator(".problem").innerText(), ["password", "Request "], "wrong password");
  await page.route((url) => url.pathname === "/v3/sessions", (route) => route.abort("connectionrefused"));
  await visit.submit(stage.email, stage.password);
  await page.getByText("The API cannot be reached").waitFor();
  await page.unrouteAll();
  for (let attempt = 0; attempt < 10; attempt += 1) {
    await signedIn(stage.api, "nobody@nowhere.example", "not the password").catch(() => null);
  }
  await visit.submit("nobody@nowhere.example", "not the password");
  await page.getByText(/Trying again in \d+ s/).waitFor();
  await visit.close();
}

/** Another browser of the same user cannot end this session; its own token can. */
async function revoked(browser, stage) {
  const visit = await openVisit(browser, stage);
  const { page } = visit;
  let authorization = "";
  page.on("request", (request) => { authorization = request.headers().authorization ?? authorization; });
  await visit.signIn();
  const ended = await fetch(`${stage.api}/v3/sessions/current`, { method: "DELETE", headers: { Authorization: authorization } });
  assert.equal(ended.status, 204);
  await page.getByRole("link", { name: "Payouts" }).first().click();
  await page.getByText("Your session has ended. Please sign in again.").waitFor();
  await visit.submit(stage.email, stage.password);
  await page.getByRole("heading", { name: "Payouts", exact: true }).waitFor();
  await visit.close();
}

async function blocked(browser, stage) {
  const visit = await openVisit(browser, stage);
  const { page } = visit;
  const email = "aiko@pixelroots.example";
  await visit.signIn(email);
  const partner = await signedIn(stage.api, email, stage.password);
  const { id } = await partner.get("/v3/account");
  await stage.operator.post(`/v3/operator/accounts/${id}/block`, { reason: "to see what the page says" });
  // The answer of a check is kept for up to a second.
  await page.waitForTimeout(1_200);
  await page.getByRole("link", { name: "Commissions" }).first().click();
  has(await page.locator(".problem").innerText(), ["blocked"], "the account is blocked");
  await page.getByRole("button", { name: "Sign out" }).click();
  await visit.submit(email, stage.password);
  has(await page.locator(".problem").innerText(), ["blocked"], "no sign-in");
  await visit.close();
}
