import assert from "node:assert/strict";
import { test } from "node:test";
import { change, firstLine, ghost, offset, position, word } from "../labextension/static/text.js";

/** [before, after, what is put there] */
const CHANGES = [
  ["", "a", "a"],
  ["a\nb", "a\nxb", "x"],
  ["aaa", "aa", ""],
  ["aa", "aaa", "a"],
  ["abc", "abc", ""],
  ["one two", "one six two", "six "],
  ["😀", "😃", "😃"],
  ["a😀b", "a😀😀b", "😀"],
  ["x\n\ny", "x\ny", ""],
];

for (const [before, after, text] of CHANGES) {
  test(`from ${JSON.stringify(before)} to ${JSON.stringify(after)}`, () => {
    const made = change(before, after);
    const [start, end] = [offset(before, made.range.start), offset(before, made.range.end)];
    assert.equal(before.slice(0, start) + made.text + before.slice(end), after);
    assert.equal(made.text, text);
    assert.ok(!/^[\udc00-\udfff]/u.test(made.text), "half of a character");
  });
}

test("positions and offsets", () => {
  const text = "a😀\n\nbc";
  for (let at = 0; at <= text.length; at += 1) {
    assert.equal(offset(text, position(text, at)), at);
  }
  assert.deepEqual(position(text, 5), { line: 2, character: 0 });
  assert.equal(offset(text, { line: 0, character: 99 }), 3);
});

const on = (start, end) => ({ start: { line: 0, character: start }, end: { line: 0, character: end } });

/** [item, line, column, what can be shown] */
const GHOSTS = [
  [{ insertText: "x = 1" }, "", 0, "x = 1"],
  [{ insertText: "return 1", range: on(4, 6) }, "    re", 6, "turn 1"],
  [{ insertText: "(a, b)", range: on(3, 5) }, "one()", 4, "a, b"],
  [{ insertText: "other", range: on(0, 2) }, "ab", 2, undefined],
  [{ insertText: "x", range: on(0, 3) }, "abc", 0, undefined],
  [{ insertText: "()", range: on(0, 2) }, "()", 1, undefined],
  [{ insertText: "", range: on(0, 0) }, "", 0, undefined],
];

for (const [item, line, column, shown] of GHOSTS) {
  test(`${JSON.stringify(item.insertText)} at ${column} of ${JSON.stringify(line)}`, () => {
    assert.equal(ghost(item, line, column), shown);
  });
}

/** [suggestion, its first word, its first line] */
const PARTS = [
  ["answer = 42", "answer", "answer = 42"],
  [" = 42", " =", " = 42"],
  ["\n    1,\n]", "\n    1", "\n    1,"],
  ["(a)", "(", "(a)"],
  ["größe + 1", "größe", "größe + 1"],
  ["", "", ""],
];

for (const [text, first, line] of PARTS) {
  test(`parts of ${JSON.stringify(text)}`, () => {
    assert.equal(word(text), first);
    assert.equal(firstLine(text), line);
  });
}
