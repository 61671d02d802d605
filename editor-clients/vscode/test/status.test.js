import assert from "node:assert/strict";
import { test } from "node:test";
import { statusItem } from "../src/pure/status.js";

/** @typedef {import("../src/pure/status.js").Server} Server */
/** @typedef {import("../src/pure/status.js").Switches} Switches */
/** @type {Server} */
const READY = { process: "running", state: "ready", model: "seed", waiting: 0 };
/** @type {Switches} */
const ON = { enabled: true, languages: ["go"], language: "python", isFileOff: false };

/** @type {[Partial<Server>, Partial<Switches>, string, RegExp][]} */
const CASES = [
  [{}, {}, "ready", /^Ready \(seed\)$/],
  [{ waiting: 1 }, {}, "thinking", /^Thinking \(seed\)$/],
  [{ state: "loading", waiting: 1 }, {}, "loading", /model is loading/],
  [{ process: "starting", state: undefined }, {}, "loading", /server is starting/],
  [{ state: "idle", model: null }, {}, "ready", /first needed/],
  [{ state: "idle", model: null, waiting: 1 }, {}, "thinking", /^Thinking$/],
  [{ state: "failed", error: "no such model" }, {}, "error", /^no such model$/],
  [{ state: "failed", error: null }, {}, "error", /could not be loaded/],
  [{ process: "missing" }, { enabled: false }, "error", /not found/],
  [{ process: "stopped" }, {}, "error", /not running/],
  [{ waiting: 1 }, { enabled: false }, "off", /^Switched off$/],
  [{}, { language: "go" }, "off", /for go/],
  [{}, { isFileOff: true }, "off", /this file/],
  [{ state: "failed", error: "broken" }, { isFileOff: true }, "off", /this file/],
  [{}, { language: undefined }, "ready", /seed/],
];

for (const [server, switches, kind, tooltip] of CASES) {
  test(`${kind}: ${JSON.stringify([server, switches])}`, () => {
    const item = statusItem({ ...READY, ...server }, { ...ON, ...switches });
    assert.equal(item.kind, kind);
    assert.match(item.tooltip, tooltip);
    assert.match(item.text, /^\$\([a-z~-]+\) codegen-lsp$/);
  });
}

test("no two states look the same", () => {
  const texts = CASES.map(([server, switches, kind]) => [kind, statusItem({ ...READY, ...server }, { ...ON, ...switches }).text]);
  assert.equal(new Set(texts.map(String)).size, 5);
  assert.equal(new Set(texts.map(([, text]) => text)).size, 5);
});
