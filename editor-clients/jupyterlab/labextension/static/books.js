// What the server is to know of the open documents: a notebook with its cells, a file, and what of them has changed.
import { change } from "./text.js";

const MARKUP = 1;
const CODE = 2;

/**
 * @typedef {{ uri: string, languageId: string, text: string, kind: number }} Cell
 * @typedef {{ uri: string, cells?: Cell[], file?: Cell }} Book A notebook has cells, a file is one.
 * @typedef {(method: string, params: object) => void} Tell
 */

/** Tells the server of books, and afterwards of what is other in them. */
export class Books {
  /** @type {Map<string, Book & { version: number, versions: Map<string, number> }>} */
  #known = new Map();

  /** @param {Tell} tell */
  constructor(tell) {
    this.tell = tell;
  }

  /** Another server: it knows of nothing. */
  forget() {
    this.#known.clear();
  }

  /** @param {Book} book As it is now. */
  update(book) {
    const known = this.#known.get(book.uri);
    if (!known) {
      this.#open(book);
    } else if (book.file) {
      this.#updateFile(known, book.file);
    } else {
      this.#updateNotebook(known, book.cells);
    }
  }

  /**
   * The text of a file or a cell, as the server knows it; undefined when it does not.
   *
   * @param {string} uri
   */
  text(uri) {
    const all = [...this.#known.values()].flatMap(({ cells, file }) => cells ?? [file]);
    return all.find((each) => each.uri === uri)?.text;
  }

  /** @param {string} uri */
  close(uri) {
    const known = this.#known.get(uri);
    if (known?.file) {
      this.tell("textDocument/didClose", { textDocument: { uri } });
    } else if (known) {
      this.tell("notebookDocument/didClose", { notebookDocument: { uri }, cellTextDocuments: known.cells.map(named) });
    }
    this.#known.delete(uri);
  }

  #open(book) {
    const cells = book.cells ?? [book.file];
    this.#known.set(book.uri, { ...book, version: 1, versions: new Map(cells.map(({ uri }) => [uri, 1])) });
    if (book.file) {
      this.tell("textDocument/didOpen", { textDocument: item(book.file) });
      return;
    }
    const notebookDocument = { uri: book.uri, notebookType: "jupyter-notebook", version: 1, cells: cells.map(entry) };
    this.tell("notebookDocument/didOpen", { notebookDocument, cellTextDocuments: cells.map(item) });
  }

  #updateFile(known, file) {
    if (known.file.text !== file.text) {
      const contentChanges = [change(known.file.text, file.text)];
      this.tell("textDocument/didChange", { textDocument: next(known, file.uri), contentChanges });
      known.file = file;
    }
  }

  #updateNotebook(known, cells) {
    const before = new Map(known.cells.map((cell) => [cell.uri, cell]));
    const structure = spliced(known.cells, cells);
    for (const { uri } of structure?.didOpen ?? []) {
      known.versions.set(uri, 1);
    }
    const opened = new Set(structure?.didOpen.map(({ uri }) => uri));
    const textContent = cells
      .filter(({ uri, text }) => !opened.has(uri) && before.get(uri).text !== text)
      .map(({ uri, text }) => ({ document: next(known, uri), changes: [change(before.get(uri).text, text)] }));
    if (structure || textContent.length) {
      known.version += 1;
      const notebookDocument = { uri: known.uri, version: known.version };
      this.tell("notebookDocument/didChange", { notebookDocument, change: { cells: { structure, textContent } } });
    }
    known.cells = cells;
  }
}

/** The kind of a cell of JupyterLab. */
export function kindOf(type) {
  return type === "code" ? CODE : MARKUP;
}

/**
 * How one list of cells becomes another: those between what both begin and end with are others. A cell that has moved
 * is closed and opened.
 *
 * @param {Cell[]} before
 * @param {Cell[]} after
 */
export function spliced(before, after) {
  const most = Math.min(before.length, after.length);
  let start = 0;
  while (start < most && before[start].uri === after[start].uri) {
    start += 1;
  }
  let end = 0;
  while (end < most - start && before.at(-1 - end).uri === after.at(-1 - end).uri) {
    end += 1;
  }
  const removed = before.slice(start, before.length - end);
  const added = after.slice(start, after.length - end);
  if (!removed.length && !added.length) {
    return undefined;
  }
  const array = { start, deleteCount: removed.length, cells: added.map(entry) };
  return { array, didOpen: added.map(item), didClose: removed.map(named) };
}

function next(known, uri) {
  const version = known.versions.get(uri) + 1;
  known.versions.set(uri, version);
  return { uri, version };
}

function named({ uri }) {
  return { uri };
}

function entry({ uri, kind }) {
  return { kind, document: uri };
}

function item({ uri, languageId, text }) {
  return { uri, languageId, version: 1, text };
}
