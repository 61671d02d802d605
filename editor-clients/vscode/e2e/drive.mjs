// Drives the extension in a real VS Code (code-server) in a headless Chromium, as a user would, and says what it saw.
// node drive.mjs '{"modules", "chromium", "url", "pid", "shots", "steps"}': one JSON line on stdout, an error on stderr.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const PATIENCE_MS = 40_000;
const QUIET_MS = 2_000;
const config = JSON.parse(process.argv[2]);
const { chromium } = createRequire(path.join(config.modules, "index.js"))("playwright-core");

const browser = await chromium.launch({ executablePath: config.chromium, args: ["--no-sandbox", "--disable-gpu"] });
const page = await browser.newPage({ viewport: { width: 1200, height: 800 } });
page.setDefaultTimeout(PATIENCE_MS);
const bar = page.locator('.statusbar-item[id*="codegen-lsp.status"]');
const ghost = page.locator('[class*="ghost-text-decoration"]');
const seen = {};

/** @type {Record<string, () => Promise<void>>} */
const STEPS = {
  async open() {
    await STEPS.look();
    await icon("sparkle");
  },
  async look() {
    await page.goto(config.url);
    await page.locator(".monaco-workbench").waitFor();
    await page.evaluate(watchLabels);
    await page.keyboard.press("Control+P");
    await page.locator(".quick-input-widget input.input").fill("main.py");
    await choose("main.py");
    await page.locator('.tab[data-resource-name="main.py"]').waitFor();
  },
  async accept() {
    await type("# the answer\n");
    await ghost.first().waitFor();
    await icon("sparkle");
    seen.ghost = await ghosts();
    await shot("ghost");
    await page.keyboard.press("Tab");
    await ghost.first().waitFor({ state: "detached" });
    await save();
  },
  async acceptWord() {
    await type("\n# another one\n");
    await ghost.first().waitFor();
    await page.keyboard.press("Control+ArrowRight");
    seen.afterWord = await ghosts();
    await page.keyboard.press("Escape");
    await ghost.first().waitFor({ state: "detached" });
    await save();
  },
  async act() {
    await type('\ndef one():\n"""One."""\n');
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("Control+.");
    await page.locator(".action-widget", { hasText: "Implement from docstring" }).waitFor();
    await shot("action");
    await page.keyboard.press("Escape");
    await save();
  },
  async restart() {
    await page.evaluate(() => window.labels.delete("codegen-lsp: The server is starting"));
    await menu("Restart the server");
    await page.waitForFunction(() => window.labels.has("codegen-lsp: The server is starting"));
    await icon("sparkle");
  },
  async explain() {
    await menu("Explain the last suggestion");
    const inner = await webview();
    seen.explained = await inner.locator("body").innerText();
    seen.colours = await inner.locator(".tokens span").evaluateAll((all) => all.map((each) => getComputedStyle(each).backgroundColor));
    await shot("explain");
    await page.keyboard.press("Control+1");
  },
  async fileOff() {
    await menu("Switch off for this file");
    await icon("circle-slash");
    await type("\n# nothing here\n");
    await page.waitForTimeout(QUIET_MS);
    seen.ghostsWhileOff = await ghost.count();
    await shot("off");
    await menu("Switch on for this file");
    await icon("sparkle");
    await save();
  },
  async languageOff() {
    await menu("Switch off for python");
    await icon("circle-slash");
    seen.languageOff = await bar.getAttribute("aria-label");
  },
  async crash() {
    await page.evaluate(() => window.labels.clear());
    process.kill(Number(readFileSync(config.pid, "utf8")), "SIGKILL");
    await page.waitForFunction(() => window.labels.has("codegen-lsp: The server is starting"));
    await icon("sparkle");
  },
  async off() {
    await menu("Switch on for python");
    await icon("sparkle");
    await menu("Switch off");
    await page.waitForFunction(() => window.labels.has("codegen-lsp: Switched off"));
    await icon("circle-slash");
  },
  async firstSteps() {
    await menu("First steps");
    await page.locator(".getting-started-step").first().waitFor();
    await page.waitForTimeout(500); // It unfolds.
    seen.steps = await page.locator(".getting-started-step .step-title").allInnerTexts();
    await shot("steps");
  },
  async missing() {
    const message = page.locator(".notification-list-item-message", { hasText: "codegen-lsp" });
    await message.first().waitFor();
    seen.message = await message.first().innerText();
    await icon("warning");
    await shot("missing");
  },
};

/** In the page: everything that the status bar says from now on, since some of it is gone in a moment. */
function watchLabels() {
  window.labels = new Set();
  const look = () => {
    for (const each of document.querySelectorAll('.statusbar-item[id*="codegen-lsp.status"] a')) {
      window.labels.add(each.getAttribute("aria-label"));
    }
  };
  const what = { subtree: true, childList: true, attributes: true, attributeFilter: ["aria-label"] };
  new MutationObserver(look).observe(document.body, what);
}

/** What is shown in grey; the editor's spaces are no-break ones. */
async function ghosts() {
  return (await ghost.allTextContents()).join("").replaceAll("\u00a0", " ");
}

async function icon(name) {
  await bar.locator(`.codicon-${name}`).waitFor();
}

/** Not by the command palette: its rows move while they are filtered, and a click takes the wrong one. */
async function menu(label) {
  await bar.click();
  await choose(label);
}

async function choose(label) {
  const whole = page.locator(".label-name").getByText(label, { exact: true });
  await page.locator(".quick-input-list .monaco-list-row", { has: whole }).first().click();
  await page.locator(".quick-input-widget").waitFor({ state: "hidden" });
}

async function type(text) {
  await page.locator(".monaco-editor .view-lines").first().click();
  await page.keyboard.press("Control+End");
  await page.keyboard.type(text, { delay: 20 });
}

async function save() {
  await page.keyboard.press("Control+S");
  await page.locator('.tab.dirty[data-resource-name="main.py"]').waitFor({ state: "detached" });
}

/** The frame with our page: the editor puts it into a frame of a frame. */
async function webview() {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await page.waitForTimeout(200)) {
    for (const frame of page.frames()) {
      if (await frame.locator("h2", { hasText: "Tokens" }).count().catch(() => 0)) {
        return frame;
      }
    }
  }
  throw new Error("the page was not shown");
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
  seen.labels = await page.evaluate(() => [...window.labels]);
  console.log(JSON.stringify(seen));
} catch (error) {
  console.error(error.message);
  await shot("failed").catch(() => {});
  process.exitCode = 1;
} finally {
  await browser.close();
}
