// Drives examples/dashboard in Chromium: node drive.mjs <repository> <node tools> <server binary> <chromium> <pictures>

import { rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

import { fail } from "./failures.mjs";
import { look } from "./looks.mjs";
import { openStage } from "./stage.mjs";
import { succeed } from "./success.mjs";

const [root, tools, server, executablePath, pictures] = process.argv.slice(2);
const { chromium } = createRequire(join(tools, "node_modules/"))("playwright-core");
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

const started = Date.now();
const report = (text) => console.log(`${((Date.now() - started) / 1_000).toFixed(1).padStart(6)} s  ok  ${text}`);
const stage = await openStage({ root, server });
report("the demonstration listens");
const browser = await chromium.launch({ executablePath, headless: true, args: FLAGS });
try {
  await rm(pictures, { recursive: true, force: true });
  await look(browser, stage, pictures, report);
  await succeed(browser, stage, report);
  await fail(browser, stage, report);
} catch (error) {
  for (const page of browser.contexts().flatMap((context) => context.pages())) {
    await page.screenshot({ path: join(pictures, "failed.png"), fullPage: true }).catch(() => null);
  }
  console.error(error);
  process.exitCode = 1;
} finally {
  await browser.close();
  const status = await stage.close();
  if (status !== 0) {
    console.error(`the server ended with status ${status}`);
    process.exitCode = 1;
  }
}
if (!process.exitCode) console.log(`every screen in a real browser; pictures in ${pictures}`);
