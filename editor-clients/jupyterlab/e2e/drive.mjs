// Drives the extension in a real JupyterLab in a headless Chromium, as a user would, and says what it saw.
// node drive.mjs '{"modules", "chromium", "url", "token", "pid", "shots", "steps"}': one JSON line on stdout, an error
// on stderr.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const PATIENCE_MS = 40_000;
const QUIET_MS = 2_000;
const SAVE_MS = 5_000;
const SAVES = 8;
const config = JSON.parse(process.argv[2]);
const { chromium } = createRequire(path.join(config.modules, "index.js"))("playwright-core");

const LOOPBACK = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1";
const args = ["--no-sandbox", "--disable-gpu", LOOPBACK];
const browser = await chromium.launch({ executablePath: config.chromium, args });
const page = await browser.newPage({ viewport: { width: 900, height: 520 } });
page.setDefaultTimeout(PATIENCE_MS);
/** JupyterLab leaves spacers behind for a while, so that a cell does not jump. */
const ghost = page.locator(".jp-GhostText:not(.jp-GhostText-letterSpacer, .jp-GhostText-lineSpacer)");
const seen = { errors: [] };
const hosts = new Set();
page.on("request", (request) => hosts.add(new URL(request.url()).hostname));
page.on("websocket", (socket) => hosts.add(new URL(socket.url()).hostname));
page.on("pageerror", (error) => seen.errors.push(error.message));
page.on("console", (message) => {
  if (message.type() === "error" && /codegen/iu.test(message.text())) {
    seen.errors.push(message.text());
  }
});

/** @type {Record<string, () => Promise<void>>} */
const STEPS = {
  async notebook() {
    await open("nb.ipynb");
    await page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').waitFor({ state: "attached" });
    await second();
  },
  async file() {
    await open("plain.py");
    await page.locator(".jp-FileEditor .cm-content").click();
    await page.keyboard.press("Control+End");
  },
  async accept() {
    await order();
    seen.ghost = await text();
    await shot("ghost");
    await page.keyboard.press("Tab");
    await gone();
    await save();
  },
  async parts() {
    await order();
    await page.keyboard.press("Control+ArrowRight");
    await said("= [");
    await page.keyboard.press("Control+Alt+ArrowRight");
    await said("1,");
    await page.keyboard.press("Tab");
    await save();
  },
  async cycle() {
    await page.keyboard.type("# the answer\n", { delay: 20 });
    await page.waitForTimeout(QUIET_MS);
    seen.unasked = await ghost.count();
    await page.keyboard.press("Alt+\\");
    await page.locator(".jp-InlineCompleter", { hasText: "1/3" }).waitFor({ state: "attached" });
    seen.choices = [await text()];
    for (const key of ["]", "]", "["]) {
      await page.keyboard.press(`Alt+${key}`);
      seen.choices.push(await text());
    }
    await page.keyboard.press("Tab");
    await gone();
    await save();
  },
  async run() {
    await page.keyboard.press("Control+End");
    await page.keyboard.type("\nprint('done')");
    await page.keyboard.press("Shift+Enter");
    await page.locator(".jp-OutputArea-output", { hasText: "done" }).waitFor();
    await page.waitForTimeout(QUIET_MS);
    await shot("run");
    seen.ghostsAfterRun = await ghost.count();
    seen.cells = await page.locator(".jp-Notebook .jp-Cell").count();
  },
  async leave() {
    await page.goto("about:blank");
    for (const end = Date.now() + PATIENCE_MS; isRunning() && Date.now() < end; ) {
      await page.waitForTimeout(100);
    }
    seen.isRunning = isRunning();
  },
  async dismiss() {
    await order();
    await page.keyboard.press("Escape");
    await gone();
    await page.keyboard.type("pass\n");
  },
  async differs() {
    await order();
    await page.keyboard.type('x = "no');
    await gone();
    seen.isActive = await page.locator(".jp-mod-inline-completer-active").count();
    await page.keyboard.press("Tab");
    await save();
  },
  async write() {
    const written = page.locator(".cm-line", { hasText: /^answer = 42$/u });
    const before = await written.count();
    await page.keyboard.type("\n# one more");
    await page.keyboard.press("Escape");
    await page.locator(".cm-line", { hasText: "# one more" }).click({ button: "right" });
    await shot("menu");
    await page.locator(".lm-Menu-item", { hasText: "Write what the comment" }).click();
    await written.nth(before).waitFor();
    await page.keyboard.press("Control+End");
    await page.keyboard.type("\n");
    await save();
  },
  async off() {
    await setting(false);
    await second();
    await page.keyboard.type("# the answer\n", { delay: 20 });
    await page.waitForTimeout(QUIET_MS);
    seen.ghostsWhileOff = await ghost.count();
    await setting(true);
    await second();
    await STEPS.accept();
  },
  async crash() {
    process.kill(Number(readFileSync(config.pid, "utf8")), "SIGKILL");
    await STEPS.message();
  },
  async message() {
    const message = page.locator(".Toastify__toast", { hasText: "codegen-lsp" });
    await message.first().waitFor();
    seen.message = (await message.first().innerText()).trim();
    await shot("message");
  },
  async picture() {
    await page.setViewportSize({ width: 900, height: 300 });
    await page.keyboard.press("Control+B");
    await page.keyboard.type("# print each name and price\n", { delay: 20 });
    await ghost.first().waitFor();
    await page.waitForTimeout(QUIET_MS);
    seen.ghost = await text();
    await shot("picture");
  },
  async wait() {
    await page.waitForTimeout(QUIET_MS);
  },
};

async function second() {
  await page.locator(".jp-Notebook .jp-Cell .cm-content").nth(1).click();
  await page.keyboard.press("Control+End");
}

/** Switch the ghost text on or off, in the editor of settings. */
async function setting(isOn) {
  const before = page.locator(".lm-DockPanel-tabBar .lm-mod-current .lm-TabBar-tabLabel");
  const name = await before.innerText();
  await page.keyboard.press("Control+,");
  await page.locator(".jp-PluginList input").first().fill("inline");
  await page.locator('.jp-PluginList-entry[data-id$=":inline-completer"]').click();
  await page.waitForTimeout(1000);
  await shot("settings");
  await page.locator('input[id$="_codegen-lsp_enabled"]').setChecked(isOn);
  await page.waitForTimeout(1000);
  await page.locator(".lm-DockPanel-tabBar .lm-TabBar-tabLabel", { hasText: name }).click();
}

/** Whether the language server is. */
function isRunning() {
  try {
    return process.kill(Number(readFileSync(config.pid, "utf8")), 0);
  } catch {
    return false;
  }
}

/** An order, and a suggestion after it. */
async function order() {
  await page.keyboard.press("Control+End");
  await page.keyboard.type("# the answer\n", { delay: 20 });
  await ghost.first().waitFor();
}

async function said(start) {
  while (!(await text()).trim().startsWith(start)) {
    await page.waitForTimeout(20); // The test has a time limit.
  }
}

/** What is shown in grey. */
async function text() {
  return (await ghost.allInnerTexts()).join("");
}

async function open(name) {
  await page.goto(`${config.url}/lab/tree/${name}?token=${config.token}&reset`);
  await page.locator(".jp-Document:visible").first().waitFor();
}

async function gone() {
  await ghost.first().waitFor({ state: "detached" });
}

/** Until nothing is left to save: a kernel that starts meanwhile writes its language into the notebook. */
async function save() {
  const dirty = page.locator(".lm-DockPanel-tabBar .jp-mod-dirty");
  for (let tries = 0; tries < SAVES; tries++) {
    await page.keyboard.press("Control+S");
    const isSaved = dirty.waitFor({ state: "detached", timeout: SAVE_MS });
    if (await isSaved.then(() => true, () => false)) return;
  }
  throw new Error("it was not saved");
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
  seen.hosts = [...hosts].filter(Boolean); // Images in the page's own text have none.
  console.log(JSON.stringify(seen));
} catch (error) {
  console.error(error.message);
  await shot("failed").catch(() => {});
  process.exitCode = 1;
} finally {
  await browser.close();
}
