// Drives the extension in a real VS Code (code-server) in a headless Chromium, as a user would, and says what it saw.
// node drive.mjs '{"modules", "chromium", "url", "pid", "shots", "steps"}': one JSON line on stdout, an error on stderr.
import { readFileSync } from "node:fs";
import { Editor } from "./page.mjs";

const QUIET_MS = 2_000;
const FILE = "main.py";
const config = JSON.parse(process.argv[2]);
const editor = await Editor.open(config, { width: 1200, height: 800 });
const page = editor.page;
const seen = {};

/** @type {Record<string, () => Promise<void>>} */
const STEPS = {
  async open() {
    await STEPS.look();
    await editor.icon("sparkle");
  },
  async look() {
    await editor.look(FILE);
  },
  async accept() {
    await editor.type("# the answer\n");
    await editor.shown();
    await editor.icon("sparkle");
    seen.ghost = await editor.ghosts();
    await editor.shot("ghost");
    await editor.press("Tab");
    await editor.gone();
    await editor.save(FILE);
  },
  async acceptWord() {
    await editor.type("\n# another one\n");
    await editor.shown();
    await editor.press("Control+ArrowRight");
    seen.afterWord = await editor.ghosts();
    await editor.press("Escape");
    await editor.gone();
    await editor.save(FILE);
  },
  async acceptLine() {
    await editor.type("\n# some more\n");
    await editor.shown();
    seen.beforeLine = await editor.ghosts();
    await editor.press("Control+ArrowDown");
    await page.waitForFunction(() => !document.querySelector(".suggest-preview-text .view-line:nth-child(2)"));
    seen.afterLine = await editor.ghosts();
    await editor.shot("line");
    await editor.press("Escape");
    await editor.gone();
    await editor.save(FILE);
  },
  async cycle() {
    await editor.type("\n# one of several\n");
    await editor.shown();
    await editor.press("Escape");
    await editor.gone();
    await editor.press("Alt+\\");
    await editor.shown();
    seen.cycled = [await editor.ghosts()];
    while (seen.cycled.length < 4) {
      await editor.press("Alt+]");
      await page.waitForFunction((before) => !document.querySelector(".view-lines").innerText.includes(before), seen.cycled.at(-1).replaceAll(" ", "\u00a0"));
      seen.cycled.push(await editor.ghosts());
    }
    await editor.press("Alt+[");
    await editor.ghost.first().hover();
    await page.locator(".inlineSuggestionsHints").waitFor();
    await editor.shotNow("cycle");
    await editor.press("Tab");
    await editor.gone();
    await editor.save(FILE);
  },
  async actOnComment() {
    await editor.type("\n# by an action");
    await act("Write code from this comment");
    await editor.written("third", 2);
    await editor.save(FILE);
  },
  async act() {
    await editor.type('\ndef total(values):\n"""The sum of the values.\n\n>>> total([1, 2])\n3\n"""\n');
    await editor.press("ArrowUp");
    await act("Implement from docstring");
    const message = page.locator(".notification-list-item-message", { hasText: "total" });
    await message.first().waitFor();
    seen.verdict = await message.first().innerText();
    await editor.written("return");
    await editor.shot("implemented");
    await editor.save(FILE);
  },
  async openMenu() {
    await editor.bar.click();
    await editor.rows.first().waitFor();
    seen.menu = await editor.rows.allInnerTexts();
    seen.menuSays = await page.locator(".quick-input-widget input.input").getAttribute("placeholder");
    await editor.shot("menu");
    await editor.press("Escape");
    await page.locator(".quick-input-widget").waitFor({ state: "hidden" });
  },
  async restart() {
    await editor.startsAnew(() => editor.menu("Restart the server"));
  },
  async restartModel() {
    await editor.menu("Restart the model");
    const progress = page.locator(".statusbar-item", { hasText: "restarting the model" });
    await progress.waitFor();
    await progress.waitFor({ state: "detached" });
    await editor.icon("sparkle");
  },
  async output() {
    await editor.menu("Show the output");
    await page.locator(".part.panel .view-line").first().waitFor();
    seen.output = (await page.locator(".part.panel .view-lines").innerText()).replaceAll("\u00a0", " ");
    await editor.shot("output");
    await editor.press("Control+J");
  },
  async explain() {
    await explain("explain");
  },
  async explainAction() {
    await explain("explain-verified");
  },
  async fileOff() {
    await editor.menu("Switch off for this file");
    await editor.icon("circle-slash");
    seen.fileOff = await editor.bar.getAttribute("aria-label");
    await editor.type("\n# nothing here\n");
    await page.waitForTimeout(QUIET_MS);
    seen.ghostsWhileOff = await editor.ghost.count();
    await editor.shot("off");
    await editor.menu("Switch on for this file");
    await editor.icon("sparkle");
    await editor.save(FILE);
  },
  async languageOff() {
    await editor.menu("Switch off for python");
    await editor.icon("circle-slash");
    seen.languageOff = await editor.bar.getAttribute("aria-label");
    await editor.menu("Switch on for python");
    await editor.icon("sparkle");
  },
  async off() {
    await editor.menu("Switch off");
    await editor.said("Switched off");
    await editor.icon("circle-slash");
  },
  async crash() {
    await editor.startsAnew(() => process.kill(Number(readFileSync(config.pid, "utf8")), "SIGKILL"));
  },
  async firstSteps() {
    await editor.menu("First steps");
    await page.locator(".getting-started-step").first().waitFor();
    await page.waitForTimeout(500); // It unfolds.
    seen.steps = await page.locator(".getting-started-step .step-title").allInnerTexts();
    await editor.shot("steps");
  },
  async missing() {
    const message = page.locator(".notification-list-item-message", { hasText: "codegen-lsp" });
    await message.first().waitFor();
    seen.message = await message.first().innerText();
    await editor.icon("warning");
    await editor.shot("missing");
  },
  async broken() {
    await editor.type("# the answer\n");
    await editor.icon("warning");
    seen.broken = await editor.bar.getAttribute("aria-label");
    await editor.shot("error");
  },
};

/** Take the first code action, which is this. */
async function act(title) {
  await editor.press("Control+.");
  await page.locator(".action-widget .monaco-list-row.action", { hasText: title }).first().waitFor();
  await editor.shot("action");
  await editor.press("Enter");
}

async function explain(name) {
  await editor.menu("Explain the last suggestion");
  const inner = await editor.webview();
  const colours = (all) => all.map((each) => getComputedStyle(each).backgroundColor);
  seen.explained = await inner.locator("body").innerText();
  seen.colours = await inner.locator(".tokens span").evaluateAll(colours);
  seen.scale = await inner.locator(".legend span").evaluateAll(colours);
  await editor.shot(name);
  await page.locator('.tab[aria-label^="Explain suggestion"]').click({ button: "middle" });
}

try {
  for (const step of config.steps) {
    await STEPS[step]().catch((error) => {
      throw new Error(`${step}: ${error.message}`);
    });
  }
  seen.labels = await editor.labels();
  console.log(JSON.stringify(seen));
} catch (error) {
  console.error(error.message);
  await editor.shot("failed").catch(() => {});
  process.exitCode = 1;
} finally {
  await editor.browser.close();
}
