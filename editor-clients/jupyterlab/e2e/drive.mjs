// Drives the extension in a real JupyterLab in a headless Chromium, as a user would, and says what it saw.
// node drive.mjs '{"modules", "chromium", "url", "token", "pid", "shots", "steps"}': one JSON line on stdout, an error
// on stderr.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const PATIENCE_MS = 40_000;
const QUIET_MS = 2_000;
const config = JSON.parse(process.argv[2]);
const { chromium } = createRequire(path.join(config.modules, "index.js"))("playwright-core");

const browser = await chromium.launch({ executablePath: config.chromium, args: ["--no-sandbox", "--disable-gpu"] });
const page = await browser.newPage({ viewport: { width: 900, height: 520 } });
page.setDefaultTimeout(PATIENCE_MS);
const ghost = page.locator(".jp-GhostText");
const seen = { errors: [] };
page.on("pageerror", (error) => seen.errors.push(error.message));
page.on("console", (message) => process.env.DEBUG && console.error(message.type(), message.text().slice(0, 300)));

/** @type {Record<string, () => Promise<void>>} */
const STEPS = {
  async notebook() {
    await open("nb.ipynb");
    await page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').waitFor();
    await cell(1).click();
  },
  async file() {
    await open("plain.py");
    await page.locator(".jp-FileEditor .cm-content").click();
    await page.keyboard.press("Control+End");
  },
  async accept() {
    await page.keyboard.type("# the answer\n", { delay: 20 });
    await shown();
    seen.ghost = await ghost.first().textContent();
    await shot("ghost");
    await page.keyboard.press("Tab");
    await gone();
    await save();
  },
};

async function open(name) {
  await page.goto(`${config.url}/lab/tree/${name}?token=${config.token}&reset`);
  await page.locator(".jp-mod-current .jp-Document, .jp-Document:visible").first().waitFor();
}

function cell(number) {
  return page.locator(".jp-Notebook .jp-Cell .cm-content").nth(number);
}

async function shown() {
  await ghost.first().waitFor();
}

async function gone() {
  await ghost.first().waitFor({ state: "detached" });
}

async function save() {
  await page.keyboard.press("Control+S");
  await page.locator(".lm-DockPanel-tabBar .jp-mod-dirty").waitFor({ state: "detached" });
}

async function shot(name) {
  if (config.shots) {
    await page.screenshot({ path: path.join(config.shots, `${name}.png`) });
  }
}

try {
  for (const step of config.steps) {
    await STEPS[step]().catch((error) => {
      throw new Error(`${step}: ${error.message}`);
    });
  }
  console.log(JSON.stringify(seen));
} catch (error) {
  console.error(error.message);
  await shot("failed").catch(() => {});
  process.exitCode = 1;
} finally {
  await browser.close();
}
