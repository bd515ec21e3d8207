// Pictures of every screen, for people: light, dark, and as wide as a small phone. Nothing may be wider than the window.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import { SHAPES, openVisit } from "./visit.mjs";

const SCREENS = ["Home", "Users", "Commissions", "Payouts", "Referral"];
/** Sign-ins of one e-mail address are limited: not all are the first partner's. */
const OTHER = "tomas@harbour.example";
const DRAWERS = ["Users", "Commissions", "Payouts"];

export async function look(browser, stage, directory, report) {
  for (const shape of Object.keys(SHAPES)) {
    await mkdir(join(directory, shape), { recursive: true });
    const visit = await openVisit(browser, stage, shape);
    await visit.open();
    await picture(visit, directory, "sign-in", true);
    await visit.signIn();
    for (const screen of SCREENS) {
      await visit.go(screen);
      await picture(visit, directory, screen.toLowerCase(), true);
      if (DRAWERS.includes(screen)) await drawer(visit, directory, screen);
    }
    visit.quiet();
    await visit.close();
    report(`looks: ${shape}`);
  }
  await problemPicture(browser, stage, directory);
  await longNames(browser, stage, directory);
  report("looks: names of 100 letters without a space");
}

async function longNames(browser, stage, directory) {
  const visit = await openVisit(browser, stage, "phone");
  const long = { companyName: "Kompanie".repeat(12), firstName: "Wilhelmina".repeat(10), lastName: "Dorfman".repeat(14) };
  const lengthened = (row) => ({ ...row, ...Object.fromEntries(Object.entries(long).filter(([name]) => name in row)) });
  await visit.page.route((url) => ["/v3/account", "/v3/sub-accounts"].includes(url.pathname), async (route) => {
    const answer = await route.fetch();
    const body = await answer.json();
    await route.fulfill({ response: answer, json: body.data ? { ...body, data: body.data.map(lengthened) } : lengthened(body) });
  });
  await visit.signIn(OTHER);
  await picture(visit, directory, "long-names-home", true);
  await visit.go("Users");
  await picture(visit, directory, "long-names-users", true);
  await drawer(visit, directory, "Users", "long-names-");
  await visit.close();
}

async function drawer(visit, directory, screen, prefix = "") {
  await visit.page.locator(".row-button").first().click();
  await visit.settled();
  await picture(visit, directory, `${prefix}${screen.toLowerCase()}-drawer`, false);
  await visit.escape();
}

async function picture(visit, directory, name, fullPage) {
  const [content, wide] = await visit.page.evaluate(() => [document.documentElement.scrollWidth, document.querySelector("dialog, main").getBoundingClientRect().right]);
  const limit = SHAPES[visit.shape].viewport.width;
  assert.ok(content <= limit && wide <= limit + 1, `${visit.shape} ${name} is ${Math.max(content, wide)} pixels wide`);
  await visit.page.screenshot({ path: join(directory, visit.shape, `${name}.png`), fullPage });
}

async function problemPicture(browser, stage, directory) {
  const visit = await openVisit(browser, stage, "dark");
  await visit.signIn(OTHER);
  await visit.page.route((url) => url.pathname.startsWith("/v3/commissions/"), (route) => route.abort("connectionrefused"));
  await visit.go("Payouts");
  await picture(visit, directory, "problem", true);
  await visit.close();
}
