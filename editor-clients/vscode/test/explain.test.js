import assert from "node:assert/strict";
import { test } from "node:test";
import { explainPage } from "../src/pure/explain.js";

const HOSTILE = `</pre></style><script>alert(1)</script><img src=x onerror='a()'>&"\``;

/** @param {string} name */
function part(name) {
  return { name, text: HOSTILE, num_tokens: /** @type {any} */ (HOSTILE) };
}

/** Every string and every name of a full answer is hostile. */
const TRACE = {
  path: HOSTILE,
  model: HOSTILE,
  trigger: HOSTILE,
  verdict: HOSTILE,
  context: { snippets: [{ path: HOSTILE, reason: HOSTILE }], dropped: [HOSTILE] },
  completion: {
    text: HOSTILE,
    stop: HOSTILE,
    confidence: /** @type {any} */ (HOSTILE),
    intent: { kind: HOSTILE, shape: HOSTILE, indent: HOSTILE },
    prompt: { segments: [part(HOSTILE), part("control")] },
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
  assert.equal(escaped, 22, "every hostile string is shown, none as it is");
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
  const strengths = [...page.matchAll(/^\.p\d\{background:hsla\(\d+,80%,45%,([\d.]+)\)/gm)].map((found) => Number(found[1]));
  assert.equal(strengths.length, 10);
  assert.deepEqual(strengths, [...strengths].sort((one, other) => other - one), "the less sure, the stronger");
});

test("what the server does not know is not given as a figure, and what is empty has no heading", () => {
  const page = explainPage({ completion: { confidence: 0, timings_ms: {}, usage: {} } }, "n");
  assert.match(page, /how sure is unknown/);
  assert.doesNotMatch(page, /time went|engine|changed|Left out|other files|offered/);
});

test("what is offered is shown apart where it is not what was written", () => {
  /** @param {string} text */
  const page = (text) => explainPage({ completion: { text, tokens: [["a ", 0], ["= 1\n", 0]] } }, "n");
  assert.doesNotMatch(page("a = 1"), /What was offered/);
  assert.match(page("a = 2"), /What was offered<\/h2><pre class="code">a = 2</);
  assert.match(page(""), /What was offered<\/h2><p class="faint">\(nothing\)/);
});

test("the first line stands where it stands in the file, and what examples showed comes first", () => {
  /** @type {[string, number][]} */
  const tokens = [["a = 1\n    return a", 0]];
  const page = explainPage({ path: "x.py", verdict: "verified 2/2 examples", completion: { tokens, intent: { indent: "    " } } }, "n");
  assert.match(page, /<pre class="code tokens">    <span[^>]*>a = 1\n    return a</);
  assert.match(page, /<p><span class="chip verdict">verified 2\/2 examples<.*x\.py/);
});

test("the prompt's parts are in order, the last one unfolded, and add up", () => {
  const segments = [
    { name: "control", text: "<|x|>", num_tokens: 1 },
    { name: "suffix", text: "below", num_tokens: 2 },
    { name: "prefix", text: "above", num_tokens: 40 },
  ];
  const page = explainPage({ completion: { prompt: { segments } } }, "n");
  assert.match(page, /read<span>43 tokens<\/span>.*x\|.*<details><summary>suffix.*<details open><summary>prefix/s);
});

test("timings have a unit, and a bar for their share", () => {
  const page = explainPage({ completion: { timings_ms: { parse: 2.5, generate: 7.5, total: 10.04 } } }, "n");
  assert.match(page, /went<span>10\.0 ms</);
  assert.match(page, /<th>parse<\/th><td class="number">2\.5 ms<\/td><td class="wide"><div class="bar w12">/);
  assert.match(page, /<th>generate<\/th><td class="number">7\.5 ms<\/td><td class="wide"><div class="bar w37">/);
  assert.match(page, /^\.w12\{width:24%\}$/m);
});

for (const [name, trace] of /** @type {[string, any][]} */ ([["nothing yet", null], ["an empty answer", {}], ["no context", { context: null }]])) {
  test(`a page all the same: ${name}`, () => {
    const page = explainPage(trace, "n");
    assert.match(page, trace ? /\(nothing\)/ : /Nothing has been suggested yet/);
    assert.doesNotMatch(page, /undefined|NaN|null/);
  });
}
