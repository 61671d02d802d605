// The page "Explain suggestion": everything in it is text of a file or of a model, so everything is escaped.

/**
 * @typedef {object} Trace The parts of `codegen.explainLast` that are shown; any of them may be absent.
 * @property {string} [path]
 * @property {string} [model]
 * @property {string} [trigger]
 * @property {string} [verdict] What its examples showed.
 * @property {{ snippets?: { path?: string, reason?: string }[], dropped?: string[] } | null} [context]
 * @property {Answer} [completion]
 */

/**
 * @typedef {object} Answer
 * @property {string} [text]
 * @property {string} [stop]
 * @property {number} [confidence]
 * @property {{ kind?: string, shape?: string, indent?: string } | null} [intent]
 * @property {{ segments?: { name?: string, text?: string, num_tokens?: number }[] } | null} [prompt]
 * @property {[string, number][]} [tokens] Text and natural logarithm of its probability.
 * @property {string[]} [filters]
 * @property {Record<string, number>} [timings_ms]
 * @property {Record<string, number>} [usage]
 */

const STEPS = 10;
const SHARES = 50;
/** From unsure (red, strong) to sure (green, faint), one class for each tenth of probability: told apart without hues, too. */
const COLOURS = Array.from({ length: STEPS }, (_, step) => {
  const doubt = STEPS - 1 - step;
  return `.p${step}{background:hsla(${step * 15},80%,45%,${(0.22 + doubt * 0.045).toFixed(2)})}`;
});
/** Widths of bars: the policy allows no style of a single element. */
const WIDTHS = Array.from({ length: SHARES + 1 }, (_, share) => `.w${share}{width:${(share * 100) / SHARES}%}`);
const STYLE = `
body{font-family:var(--vscode-font-family);font-size:var(--vscode-font-size);color:var(--vscode-foreground);
padding:.4em 1.2em 2em;line-height:1.5;max-width:60em}
h2{font-size:1.05em;font-weight:600;margin:1.8em 0 .5em}h2 span{font-weight:400;opacity:.75;margin-left:.5em}
p{margin:.3em 0}.faint{opacity:.75}
.code{font-family:var(--vscode-editor-font-family);font-size:var(--vscode-editor-font-size);white-space:pre-wrap;
overflow-wrap:anywhere;tab-size:4;background:var(--vscode-textCodeBlock-background);border-radius:4px;padding:.6em .8em;
margin:.3em 0}
.tokens span{border-radius:2px}.tokens span:hover{outline:1px solid var(--vscode-focusBorder)}
.legend span{display:inline-block;width:1.1em;height:.8em}.legend{font-size:.9em}
.chip{display:inline-block;border-radius:1em;padding:.05em .7em;margin:0 .4em .4em 0;
border:1px solid color-mix(in srgb,currentColor 30%,transparent)}
.verdict{font-weight:600;border-color:currentColor}
details{margin:.2em 0}summary{cursor:pointer}details .code{max-height:24em;overflow-y:auto}
.control{font-family:var(--vscode-editor-font-family);opacity:.6;font-size:.9em;margin:.2em 0 .2em 1.1em}
table{border-spacing:0}td,th{text-align:left;font-weight:400;padding:.05em 1em .05em 0;white-space:nowrap}
td.number{text-align:right;font-variant-numeric:tabular-nums}td.wide{width:100%;padding:0}
.bar{height:.7em;min-width:2px;border-radius:2px;background:var(--vscode-charts-blue,#3794ff);opacity:.8}
${COLOURS.join("\n")}
${WIDTHS.join("\n")}`;

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
  const parts = answer.prompt?.segments ?? [];
  const timings = answer.timings_ms ?? {};
  const written = answer.tokens ?? [];
  return [
    summary(trace, answer),
    `<h2>What the model wrote${aside(count(written.length, "token"))}</h2>${written.length ? tokens(written, answer.intent?.indent) : nothing()}`,
    offered(answer, written),
    list("What was changed in it", answer.filters ?? []),
    times(timings),
    `<h2>What the model read${aside(count(sum(parts.map((part) => part.num_tokens)), "token"))}</h2>`,
    parts.map((part, at) => segment(part, at === parts.length - 1)).join(""),
    list("Pieces of other files", (trace.context?.snippets ?? []).map((each) => `${each.path}: ${each.reason}`)),
    list("Left out", trace.context?.dropped ?? []),
    section("The engine", Object.fromEntries(Object.entries(answer.usage ?? {}).map(([name, value]) => [name, figure(value)]))),
  ].join("\n");
}

/**
 * @param {Trace} trace
 * @param {Answer} answer
 */
function summary(trace, answer) {
  const intent = answer.intent ? `${answer.intent.kind}, one ${answer.intent.shape}` : "nothing was asked for";
  // The server says 0 where the engine does not tell probabilities.
  const sure = answer.confidence ? `${percent(answer.confidence)} sure` : "how sure is unknown";
  const verdict = trace.verdict ? `<span class="chip verdict">${escape(trace.verdict)}</span>` : "";
  const facts = [trace.path, intent, sure, trace.model, trace.trigger, answer.stop && `ended by ${answer.stop}`];
  const chips = facts.filter(Boolean).map((fact) => `<span class="chip">${escape(fact)}</span>`);
  return `<p>${verdict}${chips.join("")}</p>`;
}

/**
 * What of it is inserted, where that is something else.
 *
 * @param {Answer} answer
 * @param {[string, number][]} written
 */
function offered(answer, written) {
  const text = answer.text ?? "";
  const isSame = text.trim() === written.map(([token]) => token).join("").trim();
  return isSame ? "" : `<h2>What was offered</h2>${text ? `<pre class="code">${escape(text)}</pre>` : nothing()}`;
}

function nothing() {
  return '<p class="faint">(nothing)</p>';
}

/**
 * @param {[string, number][]} pairs
 * @param {string} [indent] That the first line has in the file.
 */
function tokens(pairs, indent) {
  const scale = COLOURS.map((_, step) => `<span class="p${step}"></span>`).join("");
  return `<pre class="code tokens">${escape(indent)}${pairs.map(([text, logprob]) => token(text, Math.exp(logprob))).join("")}</pre>
<p class="legend faint">unsure ${scale} sure</p>`;
}

/**
 * @param {string} text
 * @param {number} probability
 */
function token(text, probability) {
  const step = Math.max(0, Math.min(STEPS - 1, Math.floor(probability * STEPS))) || 0;
  return `<span class="p${step}" title="${percent(probability)}">${escape(text)}</span>`;
}

/**
 * A part of the prompt; a control token is a word, not a text.
 *
 * @param {{ name?: string, text?: string, num_tokens?: number }} part
 * @param {boolean} isOpen
 */
function segment(part, isOpen) {
  if (part.name === "control") {
    return `<div class="control">${escape(part.text)}</div>`;
  }
  const head = `${escape(part.name)}<span class="faint"> · ${count(part.num_tokens, "token")}</span>`;
  const text = part.text ? `<pre class="code">${escape(part.text)}</pre>` : nothing();
  return `<details${isOpen ? " open" : ""}><summary>${head}</summary>${text}</details>`;
}

/**
 * Milliseconds, each stage with its share of the whole.
 *
 * @param {Record<string, number>} timings
 */
function times({ total, ...stages }) {
  const whole = total || sum(Object.values(stages));
  const rows = Object.entries(stages).map(([name, value]) => {
    const share = Math.max(0, Math.min(SHARES, Math.round((value / whole) * SHARES))) || 0;
    const cells = [`<th>${escape(name)}</th>`, `<td class="number">${milliseconds(value)}</td>`];
    return `<tr>${cells.join("")}<td class="wide"><div class="bar w${share}"></div></td></tr>`;
  });
  return rows.length || total ? `<h2>Where the time went${aside(milliseconds(whole))}</h2><table>${rows.join("")}</table>` : "";
}

/**
 * @param {string} title
 * @param {Record<string, string>} rows Of HTML.
 */
function section(title, rows) {
  const cells = Object.entries(rows).map(
    ([name, value]) => `<tr><th>${escape(name.replaceAll("_", " "))}</th><td class="number">${value}</td></tr>`,
  );
  return cells.length ? `<h2>${escape(title)}</h2><table>${cells.join("")}</table>` : "";
}

/**
 * @param {string} title
 * @param {readonly string[]} items
 */
function list(title, items) {
  const rows = items.map((each) => `<li>${escape(each)}</li>`).join("");
  return items.length ? `<h2>${escape(title)}</h2><ul>${rows}</ul>` : "";
}

/** @param {string} html */
function aside(html) {
  return `<span>${html}</span>`;
}

/** @param {(number | undefined)[]} values */
function sum(values) {
  return values.reduce((/** @type {number} */ all, value) => all + (Number(value) || 0), 0);
}

/**
 * @param {number | undefined} number
 * @param {string} noun
 */
function count(number, noun) {
  return `${escape(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** @param {number} value */
function milliseconds(value) {
  return Number.isFinite(value) ? `${Number(value).toFixed(1)} ms` : escape(value);
}

/** @param {unknown} value */
function figure(value) {
  return escape(Number.isInteger(value) || !Number.isFinite(value) ? value : Number(value).toFixed(1));
}

/** @param {number | undefined} probability */
function percent(probability) {
  return Number.isFinite(probability) ? `${Math.round(Number(probability) * 100)} %` : "unknown";
}
