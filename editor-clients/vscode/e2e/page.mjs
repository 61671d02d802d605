// A page with the editor in it, in a headless Chromium, and what a user does there.
import { createRequire } from "node:module";
import path from "node:path";

const PATIENCE_MS = 40_000;
const STILL_MS = 250;

/** @typedef {{ modules: string, chromium: string, url: string, shots?: string }} Config */

export class Editor {
  /**
   * @param {Config} config
   * @param {{ width: number, height: number }} viewport
   */
  static async open(config, viewport) {
    const { chromium } = createRequire(path.join(config.modules, "index.js"))("playwright-core");
    const browser = await chromium.launch({ executablePath: config.chromium, args: ["--no-sandbox", "--disable-gpu"] });
    const page = await browser.newPage({ viewport });
    page.setDefaultTimeout(PATIENCE_MS);
    return new Editor(config, browser, page);
  }

  constructor(config, browser, page) {
    this.config = config;
    this.browser = browser;
    this.page = page;
    this.bar = page.locator('.statusbar-item[id*="codegen-lsp.status"]');
    this.ghost = page.locator('[class*="ghost-text-decoration"]');
    this.rows = page.locator(".quick-input-list .monaco-list-row .label-name");
  }

  /** Wait for the editor with its folder, and show a file of it. */
  async look(file) {
    await this.page.goto(this.config.url);
    await this.page.locator(".monaco-workbench").waitFor();
    await this.page.evaluate(watchLabels);
    await this.page.keyboard.press("Control+P");
    await this.page.locator(".quick-input-widget input.input").fill(file);
    await this.choose(file);
    await this.page.locator(`.tab[data-resource-name="${file}"]`).waitFor();
  }

  /** What is shown in grey, once it stays the same: it is drawn in parts. */
  async ghosts() {
    let [text, before] = [await this.drawn()];
    while (text !== before) {
      await this.page.waitForTimeout(STILL_MS);
      [text, before] = [await this.drawn(), text];
    }
    return text;
  }

  /** The rest of the cursor's line, then the lines below; the editor's spaces are no-break ones. */
  async drawn() {
    const first = (await this.ghost.allTextContents()).join("");
    const below = await this.page.locator(".suggest-preview-text .view-line").allTextContents();
    return [first, ...below].join("\n").replaceAll("\u00a0", " ");
  }

  async shown() {
    await this.ghost.first().waitFor();
  }

  async gone() {
    await this.ghost.first().waitFor({ state: "detached" });
  }

  /** Wait for the state that this icon stands for. */
  async icon(name) {
    await this.bar.locator(`.codicon-${name}`).waitFor();
  }

  /** Wait until the status bar has said this, be it for a moment. */
  async said(label) {
    await this.page.waitForFunction((wanted) => window.labels.has(wanted), `codegen-lsp: ${label}`);
  }

  async labels() {
    return this.page.evaluate(() => [...window.labels]);
  }

  /** Do this, and wait until the status bar says that the server starts. */
  async startsAnew(act) {
    await this.page.evaluate(() => window.labels.delete("codegen-lsp: The server is starting"));
    await act();
    await this.said("The server is starting");
    await this.icon("sparkle");
  }

  /** Not by the command palette: its rows move while they are filtered, and a click takes the wrong one. */
  async menu(label) {
    await this.bar.click();
    await this.choose(label);
  }

  async choose(label) {
    const whole = this.page.locator(".label-name").getByText(label, { exact: true });
    await this.page.locator(".quick-input-list .monaco-list-row", { has: whole }).first().click();
    await this.page.locator(".quick-input-widget").waitFor({ state: "hidden" });
  }

  async press(...keys) {
    for (const key of keys) {
      await this.page.keyboard.press(key);
    }
  }

  /** Type at the file's end. */
  async type(text) {
    await this.page.locator(".monaco-editor .view-lines").first().click();
    await this.press("Control+End");
    await this.page.keyboard.type(text, { delay: 20 });
  }

  /** Wait until a line is in the file so many times; what is shown in grey is not in it. */
  async written(line, times = 1) {
    await this.page.locator(".view-lines > .view-line", { hasText: line }).nth(times - 1).waitFor();
  }

  /** Save a file that has been changed. */
  async save(file) {
    const dirty = this.page.locator(`.tab.dirty[data-resource-name="${file}"]`);
    await dirty.waitFor();
    await this.press("Control+S");
    await dirty.waitFor({ state: "detached" });
  }

  /** The frame with our page: the editor puts it into a frame of a frame. */
  async webview() {
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await this.page.waitForTimeout(200)) {
      for (const frame of this.page.frames()) {
        if (await frame.locator("h2", { hasText: "What the model wrote" }).count().catch(() => 0)) {
          return frame;
        }
      }
    }
    throw new Error("the page was not shown");
  }

  /** A picture, without the tooltip of where the mouse was. */
  async shot(name) {
    const { width, height } = this.page.viewportSize();
    await this.page.mouse.move(width * 0.45, height * 0.85);
    await this.shotNow(name);
  }

  async shotNow(name, fadeMs = 700) {
    if (this.config.shots) {
      await this.page.waitForTimeout(fadeMs);
      await this.page.screenshot({ path: path.join(this.config.shots, `${name}.png`) });
    }
  }
}

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
