import assert from "node:assert/strict";
import { test } from "node:test";
import { explainPage } from "../src/pure/explain.js";

const HOSTILE = `</pre></style><script>alert(1)</script><img src=x onerror='a()'>&"\``;

/** Every string and every name of a full answer is hostile. */
const TRACE = {
  path: HOSTILE,
  model: HOSTILE,
  trigger: HOSTILE,
  context: { snippets: [{ path: HOSTILE, reason: HOSTILE }], dropped: [HOSTILE] },
  completion: {
    text: HOSTILE,
    stop: HOSTILE,
    confidence: /** @type {any} */ (HOSTILE),
    intent: { kind: HOSTILE, shape: HOSTILE },
    prompt: { segments: [{ name: HOSTILE, text: HOSTILE, num_tokens: /** @type {any} */ (HOSTILE) }] },
    tokens: /** @type {[string, number][]} */ ([
      [HOSTILE, Math.log(0.55)],
      ["sure", 0],
      ["never", -Infinity],
      ["broken", /** @type {any} */ (HOSTILE)],
    ]),
    filters: [HOSTILE],
    timings_ms: { [HOSTILE]: 1.25, total: /** @type {any} */ (HOSTILE) },
    usage: { [HOSTILE]: /** @type {any} */ (HOSTILE) },
  },
};

/** Tags of a page, and what stands between them. @param {string} page */
function tags(page) {
  return [...page.matchAll(/<(\/?)([^\s>]*)([^>]*)>/g)].map(([, , name, rest]) => ({ name, rest }));
}

const KNOWN = "!DOCTYPE html head meta title style body h2 p pre div span table tr th td ul li details summary".split(" ");

test("hostile text stays text", () => {
  const page = explainPage(TRACE, "N0nce");
  for (const { name, rest } of tags(page)) {
    assert.ok(KNOWN.includes(name), `tag ${name}`);
    assert.doesNotMatch(rest, /\bon\w+=|src=|href=|style=/, `in ${name}`);
  }
  const escaped = page.split("&#60;script&#62;").length - 1;
  assert.equal(escaped, 18, "every hostile string is shown, none as it is");
});

test("the policy allows one style sheet and nothing else", () => {
  const page = explainPage(null, "N0nce");
  assert.match(page, /content="default-src 'none'; style-src 'nonce-N0nce'"/);
  assert.match(page, /<style nonce="N0nce">/);
  assert.equal(page.split("<style").length, 2);
  assert.doesNotMatch(page, /https?:|<script|<link|<iframe|url\(/);
});

test("colours follow the probabilities", () => {
  const page = explainPage(TRACE, "n");
  assert.match(page, /<span class="p5" title="55 %">/);
  assert.match(page, /<span class="p9" title="100 %">sure</);
  assert.match(page, /<span class="p0" title="0 %">never</);
  assert.match(page, /<span class="p0" title="unknown">broken</);
});

test("what the server does not know is not given as a figure, and what is empty has no heading", () => {
  const page = explainPage({ completion: { confidence: 0, timings_ms: {}, usage: {} } }, "n");
  assert.match(page, /<th>confidence<\/th><td>unknown</);
  assert.doesNotMatch(page, /Timings|Usage|Filters|Left out/);
});

test("timings have a unit", () => {
  assert.match(explainPage({ completion: { timings_ms: { total: 12.345 } } }, "n"), /<th>total<\/th><td>12\.3 ms</);
});

for (const [name, trace] of /** @type {[string, any][]} */ ([["nothing yet", null], ["an empty answer", {}], ["no context", { context: null }]])) {
  test(`a page all the same: ${name}`, () => {
    const page = explainPage(trace, "n");
    assert.match(page, trace ? /\(nothing\)/ : /Nothing has been suggested yet/);
    assert.doesNotMatch(page, /undefined|NaN|null/);
  });
}
