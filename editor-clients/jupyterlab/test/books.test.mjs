import assert from "node:assert/strict";
import { test } from "node:test";
import { Books } from "../labextension/static/books.js";
import { languageId } from "../labextension/static/pages.js";
import { offset } from "../labextension/static/text.js";

const BOOK = "file:///w/nb.ipynb";

/** A server's end of the line, as LSP has it: what it knows after all that it was told. */
class Reader {
  notebooks = new Map();
  documents = new Map();
  messages = [];

  tell = (method, params) => {
    this.messages.push(method);
    this[method.replace("/", "_")](params);
  };

  textDocument_didOpen({ textDocument: { uri, version, text } }) {
    assert.ok(!this.documents.has(uri), `${uri} is open`);
    this.documents.set(uri, { version, text });
  }

  textDocument_didClose({ textDocument: { uri } }) {
    assert.ok(this.documents.delete(uri), `${uri} is not open`);
  }

  textDocument_didChange({ textDocument: { uri, version }, contentChanges }) {
    const document = this.documents.get(uri);
    assert.equal(version, document.version + 1);
    document.version = version;
    for (const { range, text } of contentChanges) {
      const [start, end] = [offset(document.text, range.start), offset(document.text, range.end)];
      document.text = document.text.slice(0, start) + text + document.text.slice(end);
    }
  }

  notebookDocument_didOpen({ notebookDocument: { uri, version, cells }, cellTextDocuments }) {
    assert.ok(!this.notebooks.has(uri));
    this.notebooks.set(uri, { version, cells: cells.map(({ document }) => document) });
    cellTextDocuments.forEach((textDocument) => this.textDocument_didOpen({ textDocument }));
  }

  notebookDocument_didChange({ notebookDocument: { uri, version }, change: { cells } }) {
    const notebook = this.notebooks.get(uri);
    assert.equal(version, notebook.version + 1);
    notebook.version = version;
    if (cells.structure) {
      const { array, didOpen, didClose } = cells.structure;
      notebook.cells.splice(array.start, array.deleteCount, ...array.cells.map(({ document }) => document));
      didClose.forEach((textDocument) => this.textDocument_didClose({ textDocument }));
      didOpen.forEach((textDocument) => this.textDocument_didOpen({ textDocument }));
    }
    for (const { document, changes } of cells.textContent) {
      this.textDocument_didChange({ textDocument: document, contentChanges: changes });
    }
  }

  notebookDocument_didClose({ notebookDocument: { uri }, cellTextDocuments }) {
    assert.ok(this.notebooks.delete(uri));
    cellTextDocuments.forEach((textDocument) => this.textDocument_didClose({ textDocument }));
  }
}

function cells(texts) {
  return texts.map(([name, text]) => ({ uri: `cell:${name}`, languageId: "python", kind: 2, text }));
}

function random(seed) {
  let state = seed;
  return (most) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return Math.floor((state / 2147483648) * most);
  };
}

test("a notebook is always known as it is", () => {
  const pick = random(7);
  const reader = new Reader();
  const books = new Books(reader.tell);
  let names = 0;
  let now = [];
  for (let step = 0; step < 2000; step += 1) {
    for (let edits = pick(3); edits >= 0; edits -= 1) {
      const at = pick(now.length + 1);
      const doings = [
        () => now.splice(at, 0, [String((names += 1)), "x".repeat(pick(4))]),
        () => now.splice(at, 1),
        () => now.push(...now.splice(at, 1)),
        () => now[at] && (now[at] = [now[at][0], `${now[at][1].slice(pick(3))}${["a", "\n", "😀"][pick(3)]}`]),
      ];
      doings[pick(now.length > 8 ? 2 : 4)]();
    }
    books.update({ uri: BOOK, cells: cells(now) });
    assert.deepEqual(reader.notebooks.get(BOOK).cells, now.map(([name]) => `cell:${name}`));
    assert.equal(reader.documents.size, now.length);
    now.forEach(([name, text]) => assert.equal(reader.documents.get(`cell:${name}`).text, text));
  }
  books.close(BOOK);
  assert.equal(reader.documents.size, 0);
});

test("a file is opened, changed and closed", () => {
  const reader = new Reader();
  const books = new Books(reader.tell);
  const uri = "file:///w/a.py";
  const file = (text) => ({ uri, file: { uri, languageId: "python", kind: 2, text } });
  ["a\n", "a\nb", "a\nb", ""].forEach((text) => books.update(file(text)));
  assert.equal(reader.documents.get(uri).text, "");
  books.close(uri);
  const names = ["didOpen", "didChange", "didChange", "didClose"];
  assert.deepEqual(reader.messages, names.map((name) => `textDocument/${name}`));
});

test("what has not changed is not told", () => {
  const reader = new Reader();
  const books = new Books(reader.tell);
  books.update({ uri: BOOK, cells: cells([["1", "x"]]) });
  books.update({ uri: BOOK, cells: cells([["1", "x"]]) });
  assert.equal(reader.messages.length, 1);
});

test("another server is told of everything", () => {
  const [first, second] = [new Reader(), new Reader()];
  const books = new Books((method, params) => to.tell(method, params));
  let to = first;
  books.update({ uri: BOOK, cells: cells([["1", "x"]]) });
  books.forget();
  to = second;
  books.update({ uri: BOOK, cells: cells([["1", "xy"]]) });
  assert.deepEqual(second.messages, ["notebookDocument/didOpen"]);
});

const LANGUAGES = {
  "text/x-python": "python",
  "text/x-ipython": "python",
  "text/x-c++src": "cpp",
  "text/x-csrc": "c",
  "text/x-rustsrc": "rust",
  "text/x-sh": "shellscript",
  "text/javascript; charset=utf-8": "javascript",
  "application/typescript": "typescript",
  ipython: "python",
  R: "r",
  "C++": "cpp",
};

for (const [name, language] of Object.entries(LANGUAGES)) {
  test(`${name} is ${language}`, () => assert.equal(languageId(name), language));
}
