// The page "Explain suggestion": everything in it is text of a file or of a model, so everything is escaped.

/**
 * @typedef {object} Trace The parts of `codegen.explainLast` that are shown; any of them may be absent.
 * @property {string} [path]
 * @property {string} [model]
 * @property {string} [trigger]
 * @property {{ snippets?: { path?: string, reason?: string }[], dropped?: string[] } | null} [context]
 * @property {Answer} [completion]
 */

/**
 * @typedef {object} Answer
 * @property {string} [text]
 * @property {string} [stop]
 * @property {number} [confidence]
 * @property {{ kind?: string, shape?: string } | null} [intent]
 * @property {{ segments?: { name?: string, text?: string, num_tokens?: number }[] } | null} [prompt]
 * @property {[string, number][]} [tokens] Text and natural logarithm of its probability.
 * @property {string[]} [filters]
 * @property {Record<string, number>} [timings_ms]
 * @property {Record<string, number>} [usage]
 */

const STEPS = 10;
/** From unsure (red) to sure (green), one class for each tenth of probability. */
const COLOURS = Array.from({ length: STEPS }, (_, step) => `.p${step}{background:hsla(${step * 13},75%,45%,0.35)}`);
const STYLE = `
body{font-family:var(--vscode-font-family);padding:0 1em;line-height:1.5}
pre,.tokens{font-family:var(--vscode-editor-font-family);white-space:pre-wrap;overflow-wrap:anywhere;
background:var(--vscode-textCodeBlock-background);padding:.6em}
summary{cursor:pointer}td,th{text-align:left;padding:0 1.2em 0 0}td.number{text-align:right}
${COLOURS.join("\n")}`;

/**
 * A whole page that loads nothing and runs nothing.
 *
 * @param {Trace | null | undefined} trace
 * @param {string} nonce For the one style sheet.
 * @returns {string}
 */
export function explainPage(trace, nonce) {
  const policy = `default-src 'none'; style-src 'nonce-${escape(nonce)}'`;
  return `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>Explain suggestion</title><style nonce="${escape(nonce)}">${STYLE}</style></head><body>
${trace ? content(trace) : "<p>Nothing has been suggested yet.</p>"}</body></html>`;
}

/** @param {unknown} value */
export function escape(value) {
  return String(value ?? "").replace(/[&<>"'`]/g, (each) => `&#${each.charCodeAt(0)};`);
}

/** @param {Trace} trace */
function content(trace) {
  const answer = trace.completion ?? {};
  const intent = answer.intent ? `${answer.intent.kind}, ${answer.intent.shape}` : "none";
  const facts = { file: trace.path, model: trace.model, trigger: trace.trigger, asked: intent, stopped: answer.stop };
  return [
    `<h2>Suggestion</h2><pre>${escape(answer.text) || "(nothing)"}</pre>`,
    // The server says 0 where the engine does not tell probabilities.
    table({ ...facts, confidence: percent(answer.confidence || undefined) }),
    `<h2>Tokens</h2><p>As generated; the colour is the probability.</p>${tokens(answer.tokens ?? [])}`,
    list("Filters", answer.filters ?? []),
    `<h2>Context</h2>${(answer.prompt?.segments ?? []).map(segment).join("")}`,
    list("Pieces of other files", (trace.context?.snippets ?? []).map((each) => `${each.path}: ${each.reason}`)),
    list("Left out", trace.context?.dropped ?? []),
    section("Timings", milliseconds(answer.timings_ms ?? {})),
    section("Usage", answer.usage ?? {}),
  ].join("\n");
}

/** @param {[string, number][]} pairs */
function tokens(pairs) {
  return `<div class="tokens">${pairs.map(([text, logprob]) => token(text, Math.exp(logprob))).join("")}</div>`;
}

/**
 * @param {string} text
 * @param {number} probability
 */
function token(text, probability) {
  const step = Math.max(0, Math.min(STEPS - 1, Math.floor(probability * STEPS))) || 0;
  return `<span class="p${step}" title="${percent(probability)}">${escape(text)}</span>`;
}

/** @param {{ name?: string, text?: string, num_tokens?: number }} part */
function segment(part) {
  const head = `${escape(part.name)} (${escape(part.num_tokens)} tokens)`;
  return `<details><summary>${head}</summary><pre>${escape(part.text)}</pre></details>`;
}

/** @param {Record<string, unknown>} rows */
function table(rows) {
  const cells = Object.entries(rows).map(([name, value]) => `<tr><th>${escape(name)}</th><td>${escape(value)}</td></tr>`);
  return `<table>${cells.join("")}</table>`;
}

/**
 * @param {string} title
 * @param {Record<string, unknown>} rows
 */
function section(title, rows) {
  return Object.keys(rows).length ? `<h2>${escape(title)}</h2>${table(rows)}` : "";
}

/**
 * @param {string} title
 * @param {readonly string[]} items
 */
function list(title, items) {
  const rows = items.map((each) => `<li>${escape(each)}</li>`).join("");
  return items.length ? `<h2>${escape(title)}</h2><ul>${rows}</ul>` : "";
}

/** @param {Record<string, number>} timings */
function milliseconds(timings) {
  return Object.fromEntries(Object.entries(timings).map(([name, value]) => [name, `${Number(value).toFixed(1)} ms`]));
}

/** @param {number | undefined} probability */
function percent(probability) {
  return Number.isFinite(probability) ? `${Math.round(Number(probability) * 100)} %` : "unknown";
}
