import assert from "node:assert/strict";
import { test } from "node:test";
import { initializationOptions, toggled } from "../src/pure/settings.js";

const CASES = [
  ["a workspace's", { run_examples: true, trigger: "invoked" }, undefined, { trigger: "invoked" }],
  ["the user's", { run_examples: false, trigger: "invoked" }, true, { trigger: "invoked", run_examples: true }],
  ["the user's refusal", { run_examples: true }, false, { run_examples: false }],
];

for (const [name, merged, ofUser, expected] of CASES) {
  test(`whether examples are run: ${name}`, () => {
    const options = initializationOptions(/** @type {any} */ (merged), (key) => (key === "run_examples" ? ofUser : "no"));
    assert.deepEqual(options, expected);
  });
}

test("a toggle puts in and takes out, and leaves the rest", () => {
  const list = ["go"];
  assert.deepEqual(toggled(list, "python"), ["go", "python"]);
  assert.deepEqual(toggled(["go", "python"], "go"), ["python"]);
  assert.deepEqual(list, ["go"]);
});
