// A visit to the page: a fresh context that keeps an eye on console and network, and short names for what a visitor does.

import assert from "node:assert/strict";

const LOCALE = { locale: "en-US", timezoneId: "Europe/Berlin" };

export const SHAPES = {
  light: { colorScheme: "light", viewport: { width: 1280, height: 900 } },
  dark: { colorScheme: "dark", viewport: { width: 1280, height: 900 } },
  phone: { colorScheme: "light", viewport: { width: 375, height: 812 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true },
};

export async function openVisit(browser, stage, shape = "light") {
  const context = await browser.newContext({ ...SHAPES[shape], ...LOCALE, reducedMotion: "reduce" });
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  const faults = [];
  page.on("console", (message) => { if (message.type() === "error") faults.push(`console: ${message.text()}`); });
  page.on("pageerror", (error) => faults.push(`page: ${error.stack ?? error}`));
  const strangers = [];
  context.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol !== "blob:" && url.protocol !== "data:" && url.hostname !== "127.0.0.1") strangers.push(request.url());
  });
  const address = `${stage.origin}/?api=${encodeURIComponent(stage.api)}`;
  const visit = {
    page, context, faults, shape,
    open: () => page.goto(address),
    signIn: async (email = stage.email, password = stage.password) => {
      await visit.open();
      await visit.submit(email, password);
      await page.locator(".frame").waitFor();
      await visit.settled();
    },
    submit: async (email, password) => {
      await page.getByLabel("E-mail").fill(email);
      await page.getByLabel("Password").fill(password);
      await page.getByRole("button", { name: "Sign in" }).click();
    },
    go: async (name) => {
      await page.getByRole("navigation", { name: "Screens" }).getByRole("link", { name }).click();
      await page.locator("nav a[aria-current]", { hasText: name }).waitFor();
      await visit.settled();
    },
    settled: () => page.waitForFunction(() => !document.querySelector("[aria-busy], .skeleton")),
    escape: async () => { await page.keyboard.press("Escape"); await visit.closed(); },
    closed: () => page.waitForFunction(() => !document.querySelector("dialog")),
    texts: async (selector) => (await page.locator(selector).allInnerTexts()).map((text) => text.trim()),
    row: (index) => page.locator("tbody tr").nth(index).innerText(),
    quiet: () => assert.deepEqual(faults.splice(0), [], "no error in the console"),
    close: async () => {
      assert.deepEqual(strangers, [], "no request leaves this machine");
      await context.close();
    },
  };
  return visit;
}

const SYMBOLS = { USD: "$", EUR: "€", GBP: "£" };

/** An amount as the page shall show it, from its decimal string. */
export function shown({ amount, currency }, sign = "") {
  const [, minus, whole, fraction] = /^(-?)(\d+)(\.\d+)?$/.exec(amount);
  return `${minus ? "\u2212" : sign}${SYMBOLS[currency]}${whole.replace(/\B(?=(\d{3})+$)/g, ",")}${fraction ?? ""}`;
}

/** Asserts that `text` has each of `parts`. */
export function has(text, parts, what) {
  for (const part of parts) assert.ok(text.includes(part), `${what}: ${JSON.stringify(part)} is not in ${JSON.stringify(text)}`);
}
