// Plays a story in a real VS Code (code-server) in a headless Chromium and keeps every frame with its time.
// node record.mjs '{"modules", "chromium", "url", "frames", "shots"}': frames as PNG, named by milliseconds, in "frames".
import { writeFileSync } from "node:fs";
import path from "node:path";
import { Editor } from "./page.mjs";

const FILE = "helpers.py";
const SIZE = { width: 840, height: 500 };
const KEY_MS = 42;
const PRESS_MS = 450;
const READ_MS = 1_600;
const COMMENT = "# is this number prime?\n";
const FUNCTION = [
  "def is_palindrome(text: str) -> bool:\n",
  '"""Whether the text reads the same backwards, ignoring case.\n',
  "\n",
  '>>> is_palindrome("Anna")\n',
  "True\n",
  '"""\n',
];

const config = JSON.parse(process.argv[2]);
const editor = await Editor.open(config, SIZE);
const page = editor.page;

/** Type as people do: not evenly. The same every time, so that two recordings differ in the program alone. */
async function write(text) {
  for (const [at, letter] of [...text].entries()) {
    await page.keyboard.type(letter);
    await page.waitForTimeout(KEY_MS * (0.6 + ((at * 7) % 9) / 10) + (letter === "\n" ? 3 * KEY_MS : 0));
  }
}

/** Press a key and show its name for a moment: nobody sees a keyboard in a picture. */
async function press(key, name) {
  await page.evaluate(showKey, name);
  await page.waitForTimeout(PRESS_MS);
  await editor.press(key);
  await page.waitForTimeout(PRESS_MS);
  await page.evaluate(showKey, "");
}

/** In the page. */
function showKey(name) {
  const cap = document.getElementById("key") ?? document.body.appendChild(document.createElement("div"));
  cap.id = "key";
  cap.textContent = name;
  cap.style.cssText =
    "position:fixed;right:24px;bottom:44px;padding:6px 14px;border-radius:6px;border:1px solid #888;z-index:99999;" +
    "background:#f2f2f2;color:#111;font:600 18px system-ui;box-shadow:0 2px 0 #888;pointer-events:none";
  cap.style.display = name ? "block" : "none";
}

async function read(name) {
  await editor.shotNow(name, READ_MS);
}

async function fromComment() {
  await write(COMMENT);
  await editor.shown();
  await read("ghost");
  await press("Tab", "Tab");
  await editor.gone();
}

async function fromDocstring() {
  await write("\n\n\n");
  await page.keyboard.press("Home");
  for (const line of FUNCTION) {
    await write(line);
  }
  await editor.shown();
  await read("docstring");
  await press("Tab", "Tab");
  await editor.gone();
}

/** The function at the top, of which there is a docstring alone. */
async function byAction() {
  await editor.press("Control+Home");
  for (let line = 0; line < 8; line++) {
    await editor.press("ArrowDown");
    await page.waitForTimeout(2 * KEY_MS);
  }
  await press("Control+.", "Ctrl + .");
  await page.locator(".action-widget", { hasText: "Implement from docstring" }).waitFor();
  await read("action");
  await press("Enter", "Enter");
  await page.locator(".notification-list-item-message", { hasText: "verified" }).waitFor();
  await read("verified");
}

/** By the menu in the status bar, whose first entry is this. */
async function explained() {
  await editor.press("Escape"); // The message.
  await editor.bar.click();
  await editor.rows.first().waitFor();
  await page.mouse.move(SIZE.width / 4, SIZE.height / 2);
  await read("menu");
  await press("Enter", "Enter");
  await editor.webview();
  await editor.press("Control+1"); // Back into the text.
  await read("explain");
}

/** Keep what the browser paints from now on. */
async function record() {
  const session = await page.context().newCDPSession(page);
  session.on("Page.screencastFrame", ({ data, metadata, sessionId }) => {
    const name = `${Math.round(metadata.timestamp * 1000)}.png`;
    writeFileSync(path.join(config.frames, name), Buffer.from(data, "base64"));
    session.send("Page.screencastFrameAck", { sessionId }).catch(() => {});
  });
  await session.send("Page.startScreencast", { format: "png", everyNthFrame: 1 });
  return () => session.send("Page.stopScreencast");
}

try {
  await editor.look(FILE);
  await editor.press("Control+B"); // The file alone.
  await editor.icon("sparkle");
  await editor.type("");
  await editor.press("Alt+\\"); // The model is loaded before the story begins.
  await page.waitForFunction(() => [...window.labels].some((label) => label.includes("Ready (")));
  await editor.press("Escape");
  await page.evaluate(showKey, "");
  await editor.press("Control+End");
  await page.waitForTimeout(READ_MS);
  const stop = await record();
  for (const scene of [fromComment, fromDocstring, byAction, explained]) {
    await scene().catch((error) => {
      throw new Error(`${scene.name}: ${error.message}`);
    });
  }
  await stop();
} catch (error) {
  console.error(error.message);
  await editor.shot("failed").catch(() => {});
  process.exitCode = 1;
} finally {
  await editor.browser.close();
}
