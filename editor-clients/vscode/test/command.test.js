import assert from "node:assert/strict";
import { test } from "node:test";
import { findServer } from "../src/pure/command.js";

/** @type {import("../src/pure/command.js").Place} */
const PLACE = {
  setting: [],
  extension: "/ext",
  folders: ["/one", "/two"],
  isTrusted: true,
  searchPath: "/usr/bin:/opt/bin",
  platform: "linux",
};

/**
 * @param {Partial<import("../src/pure/command.js").Place>} change
 * @param {string[]} files That can be run.
 * @param {[string, string] | undefined} expected Command and source.
 */
function check(change, files, expected) {
  const found = findServer({ ...PLACE, ...change }, (file) => files.includes(file));
  assert.deepEqual(found && [found.command, found.source], expected);
}

test("the user's setting is taken as it is", () => {
  const found = findServer({ ...PLACE, setting: ["python", "-m", "x y", "serve"] }, () => true);
  assert.deepEqual(found, { command: "python", args: ["-m", "x y", "serve"], source: "settings" });
});

const EVERYWHERE = ["/ext/server/bin/codegen-lsp", "/two/.venv/bin/codegen-lsp", "/opt/bin/codegen-lsp"];

test("the extension's own, then the workspace's, then PATH", () => {
  check({}, EVERYWHERE, [EVERYWHERE[0], "extension"]);
  check({}, EVERYWHERE.slice(1), [EVERYWHERE[1], "workspace"]);
  check({}, EVERYWHERE.slice(2), [EVERYWHERE[2], "PATH"]);
  check({}, [], undefined);
});

test("what a workspace brings along is not run before it is trusted", () => {
  check({ isTrusted: false }, EVERYWHERE.slice(1), [EVERYWHERE[2], "PATH"]);
  check({ isTrusted: false }, [EVERYWHERE[1]], undefined);
});

test("no relative entry of PATH is followed", () => {
  check({ searchPath: ".::bin:/opt/bin" }, ["codegen-lsp", "bin/codegen-lsp", "./codegen-lsp"], undefined);
});

test("Windows has other folders and another separator", () => {
  const place = { platform: "win32", folders: ["C:\\one"], extension: "C:\\ext", searchPath: "C:\\a;C:\\b" };
  check(place, ["C:\\one\\.venv\\Scripts\\codegen-lsp.exe"], ["C:\\one\\.venv\\Scripts\\codegen-lsp.exe", "workspace"]);
  check(place, ["C:\\b\\codegen-lsp.exe"], ["C:\\b\\codegen-lsp.exe", "PATH"]);
});

test("what is found serves", () => {
  assert.deepEqual(findServer(PLACE, () => true)?.args, ["serve"]);
});
