// Texts and places in them. Positions are LSP's, in UTF-16, which is what JavaScript's strings and CodeMirror count in.

/**
 * @typedef {{ line: number, character: number }} Position
 * @typedef {{ start: Position, end: Position }} Range
 */

/**
 * The one change that turns a text into another one.
 *
 * @param {string} before
 * @param {string} after
 * @returns {{ range: Range, text: string }}
 */
export function change(before, after) {
  const most = Math.min(before.length, after.length);
  let start = 0;
  while (start < most && before[start] === after[start]) {
    start += 1;
  }
  let end = 0;
  while (end < most - start && before[before.length - 1 - end] === after[after.length - 1 - end]) {
    end += 1;
  }
  // The two halves of a character stay together: a position between them means nothing.
  start -= isSecondHalf(before, start) || isSecondHalf(after, start) ? 1 : 0;
  end -= isSecondHalf(before, before.length - end) || isSecondHalf(after, after.length - end) ? 1 : 0;
  const range = { start: position(before, start), end: position(before, before.length - end) };
  return { range, text: after.slice(start, after.length - end) };
}

/**
 * @param {string} text
 * @param {number} offset
 * @returns {Position}
 */
export function position(text, offset) {
  const before = text.slice(0, offset);
  return { line: before.split("\n").length - 1, character: offset - (before.lastIndexOf("\n") + 1) };
}

/**
 * @param {string} text
 * @param {Position} position
 */
export function offset(text, { line, character }) {
  const lines = text.split("\n");
  const start = lines.slice(0, line).reduce((sum, { length }) => sum + length + 1, 0);
  return start + Math.min(character, lines[line]?.length ?? 0);
}

/**
 * What of an item is new at the cursor: all that JupyterLab can show, and put there. undefined when the item changes
 * other text, too.
 *
 * @param {{ insertText: string, range?: Range }} item
 * @param {string} line Where the cursor is.
 * @param {number} column
 * @returns {string | undefined}
 */
export function ghost({ insertText, range }, line, column) {
  const head = range ? line.slice(range.start.character, column) : "";
  const tail = range ? line.slice(column, range.end.character) : "";
  const text = insertText.slice(head.length, insertText.length - tail.length);
  return (head + text + tail === insertText && text) || undefined;
}

/**
 * The part of a suggestion that accepting a word takes.
 *
 * @param {string} text
 */
export function word(text) {
  return /^\s*([\p{L}\p{N}_]+|[^\p{L}\p{N}_\s]+|$)/u.exec(text)?.[0] ?? text;
}

/**
 * The part of a suggestion that accepting a line takes.
 *
 * @param {string} text
 */
export function firstLine(text) {
  return /^\n*[^\n]*/u.exec(text)?.[0] ?? text;
}

function isSecondHalf(text, offset) {
  const code = text.charCodeAt(offset);
  return offset > 0 && offset < text.length && code >= 0xdc00 && code < 0xe000;
}
