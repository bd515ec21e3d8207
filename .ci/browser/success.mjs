// Every screen when all goes well: what it shows is what the API says.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

import { signedIn } from "./stage.mjs";
import { has, openVisit, shown } from "./visit.mjs";

/** The steps of the success path, in the order of a visit. */
export async function succeed(browser, stage, report) {
  const visit = await openVisit(browser, stage);
  await visit.signIn();
  for (const step of [home, users, containers, commissions, payouts, requestPayout, referral]) {
    await step(visit, stage.partner);
    visit.quiet();
    report(`success: ${step.name}`);
  }
  await visit.page.getByRole("button", { name: "Sign out" }).click();
  await visit.page.getByText("You are signed out.").waitFor();
  visit.quiet();
  await visit.close();
  await renewal(browser, stage);
  report("success: session is renewed before its end");
  await currencies(browser, stage);
  report("success: two currencies");
  await agency(browser, stage);
  report("success: agency, empty states");
}

async function home(visit, api) {
  const { page } = visit;
  const { level, balances: [balance], alerts, containersByPlan, recentSubAccounts, recentPayouts } = await api.get("/v3/dashboard");
  has(await page.locator("h1").innerText(), ["Maya"], "greeting");
  const figures = await page.locator(".figures").innerText();
  const fields = ["monthlyValue", "inReview", "readyToPayout", "inPayout", "paid", "debt", "earnedThisMonth", "earnedLastMonth"];
  has(figures, fields.map((field) => shown(balance[field])), "balances");
  has(await page.locator(".level").innerText(), [`Level ${level.level}`, level.name, `${level.ratePercent}\u00a0%`], "level");
  has(await page.locator(".alerts").innerText(), [`${alerts.limitExceeded} client`, `${alerts.withErrors} client`], "alerts");
  const body = await page.locator("main").innerText();
  has(body, containersByPlan.map((row) => String(row.count)), "plans");
  has(body, recentSubAccounts.map((row) => row.email), "new users");
  has(body, recentPayouts.flatMap((row) => [row.number, shown(row.amount)]), "payouts");
  const { data: days } = await api.get("/v3/commissions/maturing?timeZone=Europe/Berlin&currency=USD");
  const more = page.getByRole("button", { name: /^Show all/ });
  if (days.length > 6) await more.click();
  const amounts = await visit.texts('[aria-label="Maturing amounts"] .bar-row-value');
  assert.deepEqual(amounts, days.map((row) => shown(row.amount)), "maturing amounts");
  for (const interval of ["month", "week", "day"]) await chart(visit, interval);
}

async function chart(visit, interval) {
  const { page } = visit;
  const answer = page.waitForResponse((response) => response.url().includes(`time-series?interval=${interval}`) && response.ok());
  await page.getByRole("button", { name: `${interval[0].toUpperCase()}${interval.slice(1)}s` }).click();
  const series = await (await answer).json();
  await visit.settled();
  assert.equal(series.data.length, { day: 30, week: 12, month: 12 }[interval], "points");
  await page.waitForFunction((bars) => document.querySelectorAll(".bar").length === bars, series.data.length);
  await page.getByText("Show as a table").click();
  const cells = await visit.texts(".chart-table tbody td:last-child");
  assert.deepEqual(cells, series.data.map((point) => shown(point.earned)).reverse(), `table of ${interval}s`);
  await page.locator(".chart").focus();
  await page.keyboard.press("End");
  has(await page.locator(".chart-tip").innerText(), [shown(series.data.at(-1).earned)], "the newest bar, by keyboard");
  await page.keyboard.press("ArrowLeft");
  has(await page.locator(".chart-tip").innerText(), [shown(series.data.at(-2).earned)], "the bar before");
}

async function users(visit, api) {
  const { page } = visit;
  await visit.go("Users");
  const first = await api.get("/v3/sub-accounts?limit=20");
  assert.deepEqual(await visit.texts("tbody .person .note"), first.data.map((row) => row.email), "first page");
  const client = first.data[0];
  has(await visit.row(0), [`${client.paidContainerCount} of ${client.containerCount}`, ...client.monthlyCommission.map((money) => shown(money))], "client");
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByText("Page 2").waitFor();
  const second = await api.get(`/v3/sub-accounts?limit=20&cursor=${encodeURIComponent(first.nextCursor)}`);
  assert.deepEqual(await visit.texts("tbody .person .note"), second.data.map((row) => row.email), "second page");
  await page.getByRole("button", { name: "Previous" }).click();
  await page.getByText("Page 1").waitFor();
  await filtered(visit, api, "Limit exceeded", "limitExceeded=true");
  await filtered(visit, api, "With errors", "limitExceeded=true&withErrors=true");
  await page.getByRole("button", { name: "Limit exceeded" }).click();
  await filtered(visit, api, "With errors", "");
  await search(visit, api, "fable");
  await page.locator(".row-button").first().click();
  await visit.settled();
  const [found] = (await api.get("/v3/sub-accounts?q=fable&limit=1")).data;
  const { data: own } = await api.get(`/v3/containers?subAccountId=${found.id}`);
  has(await page.locator("dialog").innerText(), own.flatMap((row) => [row.name, shown(row.commission.monthly)]), "containers of the client");
  await visit.escape();
  assert.ok(await page.evaluate(() => document.activeElement.matches(".row-button")), "the focus comes back");
  await search(visit, api, "nobody has this name");
  await page.getByText("No client fits").waitFor();
}

async function filtered(visit, api, name, query) {
  const { page } = visit;
  const answer = page.waitForResponse((response) => response.url().includes("/v3/sub-accounts?"));
  await page.getByRole("button", { name }).click();
  await answer;
  await visit.settled();
  const { data } = await api.get(`/v3/sub-accounts?limit=20&${query}`);
  assert.deepEqual(await visit.texts("tbody .person .note"), data.map((row) => row.email), `filter ${name}`);
}

async function search(visit, api, words) {
  const { page } = visit;
  const answer = page.waitForResponse((response) => response.url().includes("q="));
  await page.getByLabel("Search users").fill(words);
  await answer;
  await visit.settled();
  const { data } = await api.get(`/v3/sub-accounts?limit=20&q=${encodeURIComponent(words)}`);
  assert.deepEqual(await visit.texts("tbody .person .note"), data.map((row) => row.email), `search ${words}`);
}

async function containers(visit, api) {
  const { page } = visit;
  await page.getByRole("button", { name: "By container" }).click();
  await page.locator("tbody tr").first().waitFor();
  await visit.settled();
  const { data } = await api.get("/v3/commissions/by-container?limit=20");
  for (const [index, row] of data.entries()) {
    has(await visit.row(index), [row.container.name, row.subAccount.email, shown(row.price), `${row.ratePercent}\u00a0%`, shown(row.monthly)], "container");
  }
}

async function commissions(visit, api) {
  const { page } = visit;
  await visit.go("Commissions");
  const { data } = await api.get("/v3/commissions?limit=25");
  for (const [index, row] of data.entries()) has(await visit.row(index), [row.subAccount.name, row.container.name, shown(row.net)], "commission");
  const statuses = { "In review": "inReview", Ready: "readyToPayout", Reversed: "reversed" };
  for (const [name, value] of Object.entries(statuses)) {
    await page.getByRole("group", { name: "Status" }).getByRole("button", { name, exact: true }).click();
    await visit.settled();
    const { data: some } = await api.get(`/v3/commissions?limit=25&status=${value}`);
    assert.deepEqual(await visit.texts("tbody .person strong"), some.map((row) => row.subAccount.name), `status ${name}`);
    if (value === "reversed") await explanation(visit, api, some[0]);
    await page.getByRole("group", { name: "Status" }).getByRole("button", { name, exact: true }).click();
    await visit.settled();
  }
  await explanation(visit, api, data[0]);
  const waiting = page.waitForEvent("download");
  await page.getByRole("button", { name: "CSV" }).click();
  const file = await waiting;
  assert.equal(file.suggestedFilename(), "commissions.csv");
  assert.equal(await readFile(await file.path(), "utf8"), await api.text("/v3/commissions/export"), "the file is the export");
}

async function explanation(visit, api, row) {
  const { page } = visit;
  await page.locator(".row-button").first().click();
  await visit.settled();
  const { base, rule, review, postings } = await api.get(`/v3/commissions/${row.id}/explanation`);
  const text = await page.locator("dialog").innerText();
  has(text, [row.id, shown(row.net), shown(base), `${rule.ratePercent}\u00a0%`, `program version ${rule.programVersion}`, `${review.days} days`], "explanation");
  const own = postings.filter((posting) => posting.account !== "program" && posting.kind !== "commissionReady");
  has(text, own.slice(0, 1).map((posting) => shown(posting.amount, "+")), "postings");
  await visit.escape();
}

async function payouts(visit, api) {
  const { page } = visit;
  await visit.go("Payouts");
  const preview = await api.get("/v3/payouts/preview?currency=USD");
  has(await page.locator(".preview").innerText(), [shown(preview.amount), `${preview.lineCount} lines`, shown(preview.minimum), preview.method.label], "preview");
  const { data } = await api.get("/v3/payouts?limit=15");
  for (const [index, row] of data.entries()) has(await visit.row(index), [row.number, shown(row.amount), row.method.label], "payout");
  const paid = data.findIndex((row) => row.status === "paid");
  await page.locator(".row-button").nth(paid).click();
  await visit.settled();
  const { data: lines } = await api.get(`/v3/payouts/${data[paid].id}/lines?limit=10`);
  has(await page.locator("dialog").innerText(), [data[paid].reference, ...lines.map((line) => shown(line.amount))], "lines");
  await visit.escape();
}

/** Requests a payout whose first answer is lost, sees that it happened once, and cancels it. */
async function requestPayout(visit, api) {
  const { page } = visit;
  const { amount } = await api.get("/v3/payouts/preview?currency=USD");
  const keys = [];
  await page.route((url) => url.pathname === "/v3/payouts", async (route) => {
    if (route.request().method() !== "POST") return route.fallback();
    keys.push(route.request().headers()["idempotency-key"]);
    if (keys.length > 1) return route.fallback();
    await route.fetch();
    return route.abort("connectionreset");
  });
  await page.getByRole("button", { name: "Request payout" }).click();
  await page.getByRole("button", { name: `Request ${shown(amount)}` }).click();
  await page.getByText("The API cannot be reached").waitFor();
  visit.faults.splice(0);
  await page.getByRole("button", { name: "Try again" }).click();
  await visit.closed();
  await visit.settled();
  assert.equal(keys.length, 2, "two attempts");
  assert.equal(keys[0], keys[1], "one intent, one key");
  const { data: requested } = await api.get("/v3/payouts?status=requested");
  const made = requested.filter((row) => row.amount.amount === amount.amount);
  assert.equal(made.length, 1, "one payout");
  has(await visit.row(0), [made[0].number, shown(amount), "Requested"], "the new payout");
  has(await page.locator(".preview").innerText(), ["$0.00"], "nothing is ready any more");
  assert.ok(await page.getByRole("button", { name: "Request payout" }).isDisabled(), "nothing to request");
  await page.locator(".row-button").first().click();
  await page.getByRole("button", { name: "Cancel this payout" }).click();
  await page.getByRole("button", { name: "Cancel the payout" }).click();
  await visit.closed();
  await visit.settled();
  has(await visit.row(0), [made[0].number, "Canceled"], "the canceled payout");
  has(await page.locator(".preview").innerText(), [shown(amount)], "ready again");
  await page.unrouteAll();
}

async function referral(visit, api) {
  const { page } = visit;
  await visit.go("Referral");
  const { data } = await api.get("/v3/referral-links");
  const main = data.find((link) => link.isDefault);
  await link(visit, api, main);
  await page.getByRole("button", { name: "Copy the referral link" }).click();
  await page.getByText("Copied").first().waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), main.url, "the link is copied");
  const other = data.find((one) => !one.isDefault);
  await page.getByRole("button", { name: other.name }).click();
  await visit.settled();
  await link(visit, api, other);
  const badge = await api.get("/v3/badge");
  assert.deepEqual(await visit.texts("pre"), [badge.html, badge.markdown], "embed codes");
  await page.waitForFunction(() => [...document.querySelectorAll(".badge-preview img, .qr img")].every((image) => image.complete && image.naturalWidth > 0));
  assert.equal(await page.locator(".badge-preview img, .qr img").count(), 3, "two badges and a QR code");
  await page.getByRole("button", { name: "Copy the HTML code" }).click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), badge.html, "the code is copied");
}

async function link(visit, api, { id, url, clicks, uniqueVisitors, signUps, payingClients }) {
  const { page } = visit;
  assert.equal(await page.getByLabel("Referral link", { exact: true }).inputValue(), url);
  const figures = [clicks, uniqueVisitors, signUps, payingClients].map((figure) => figure.toLocaleString("en-US"));
  assert.deepEqual(await visit.texts(".figures dd"), figures, "numbers of the link");
  const { totals } = await api.get(`/v3/referral-links/${id}/stats`);
  has(await page.locator(".chart-total").innerText(), [`${totals.clicks} clicks`, ...totals.earned.map((money) => shown(money))], "the last 30 days");
}

/** With an end that is near, the tokens are exchanged before it, once, and the page goes on with the new ones. */
async function renewal(browser, stage) {
  const visit = await openVisit(browser, stage);
  const { page } = visit;
  await page.route((url) => url.pathname === "/v3/sessions", async (route) => {
    const answer = await route.fetch();
    const session = { ...(await answer.json()), expiresAt: new Date(Date.now() + 30_000).toISOString() };
    await route.fulfill({ response: answer, json: session });
  });
  const renewals = [];
  page.on("response", (response) => { if (response.url().endsWith("/refresh") && response.request().method() === "POST") renewals.push(response.status()); });
  await visit.signIn();
  await visit.go("Payouts");
  assert.deepEqual(renewals, [200], "one exchange");
  visit.quiet();
  await visit.close();
}

async function currencies(browser, stage) {
  const visit = await openVisit(browser, stage);
  const api = await signedIn(stage.api, "tomas@harbour.example", stage.password);
  await visit.signIn("tomas@harbour.example");
  const { level, balances } = await api.get("/v3/dashboard");
  const euros = balances.find((row) => row.currency === "EUR");
  await visit.page.getByRole("button", { name: "EUR" }).click();
  await visit.settled();
  has(await visit.page.locator(".figures").innerText(), [shown(euros.inReview), shown(euros.paid), shown(euros.monthlyValue)], "euros");
  has(await visit.page.locator("main").innerText(), [`${level.next.missingPaidContainers} more`, `${shown(level.next.missingReferralValue)} more`], "next level");
  await visit.go("Payouts");
  assert.equal(await visit.page.locator(".preview").count(), balances.length, "a preview per currency");
  visit.quiet();
  await visit.close();
}

async function agency(browser, stage) {
  const visit = await openVisit(browser, stage);
  await visit.signIn("oluwaseun@tagsmith.example");
  await visit.page.getByText("Become a partner").waitFor();
  await visit.page.getByText("Nothing earned in this time").waitFor();
  await visit.page.getByText("Nothing in review").waitFor();
  await visit.go("Payouts");
  await visit.page.getByText("No payouts yet").waitFor();
  assert.ok(await visit.page.getByRole("button", { name: "Request payout" }).isDisabled());
  await visit.go("Referral");
  await visit.page.getByText("The badge is for partners").waitFor();
  visit.quiet();
  await visit.close();
}
