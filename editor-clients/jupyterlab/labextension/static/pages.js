// JupyterLab's widgets as the server is told of them: a notebook's panel and a text editor's are books.
import { kindOf } from "./books.js";
import { offset } from "./text.js";

/** Where CodeMirror's or Jupyter's name of a language is not LSP's. */
const LANGUAGES = {
  "c++": "cpp",
  "c++src": "cpp",
  bash: "shellscript",
  csrc: "c",
  ipython: "python",
  rustsrc: "rust",
  sh: "shellscript",
};

/**
 * The language id of a MIME type ("text/x-python") or of a kernel's language ("R").
 *
 * @param {string} name
 */
export function languageId(name) {
  const short = name.replace(/^\w+\/(x-)?/u, "").replace(/[;\s].*$/u, "").toLowerCase();
  return LANGUAGES[short] ?? short;
}

/**
 * Whether a widget is a notebook or an editor of a file. Both have a `context` with the path and the model.
 *
 * @param {any} widget
 */
export function isPage(widget) {
  return Boolean(widget?.context?.ready && widget.content && ("activeCell" in widget.content || widget.content.editor));
}

/**
 * @param {any} widget A page whose context is ready.
 * @param {string} root URI of the folder that Jupyter serves.
 * @returns {import("./books.js").Book}
 */
export function bookOf({ content, context }, root) {
  const uri = `${root.replace(/\/$/u, "")}/${context.localPath.split("/").map(encodeURIComponent).join("/")}`;
  const { model } = context;
  if (content.editor) {
    return { uri, file: { uri, languageId: languageId(content.model.mimeType), text: model.sharedModel.getSource() } };
  }
  const language = kernelLanguage(model);
  return { uri, cells: Array.from(model.cells, (cell) => cellOf(cell, uri, language)) };
}

/**
 * Where the cursor is: the editor, the document as the server knows it, a position in LSP's terms, and its line.
 * undefined where there is none.
 *
 * @param {any} widget
 * @param {import("./books.js").Book} book
 */
export function cursorOf({ content }, book) {
  const editor = content.editor ?? content.activeCell?.editor;
  if (!editor) {
    return undefined;
  }
  const { line, column } = editor.getCursorPosition();
  const uri = book.file ? book.uri : cellUri(content.activeCell.model, book.uri);
  return { editor, uri, position: { line, character: column }, line: editor.getLine(line) ?? "" };
}

/**
 * Make LSP's edits of a document, each in the text before all of them.
 *
 * @param {any} editor
 * @param {{ range: import("./text.js").Range, newText: string }[]} edits
 */
export function apply(editor, edits) {
  const model = editor.model.sharedModel;
  const text = model.getSource();
  const places = edits.map(({ range, newText }) => [offset(text, range.start), offset(text, range.end), newText]);
  model.transact(() => {
    for (const [start, end, newText] of places.sort(([one], [other]) => other - one)) {
      model.updateSource(start, end, newText);
    }
  });
}

function cellOf(cell, notebook, language) {
  const languageId = cell.type === "code" ? language : "markdown";
  return { uri: cellUri(cell, notebook), kind: kindOf(cell.type), languageId, text: cell.sharedModel.getSource() };
}

/** Its id alone would not do: a cell that becomes one of another kind keeps it. */
function cellUri({ id, type }, notebook) {
  return `${notebook.replace(/^file:/u, "vscode-notebook-cell:")}#${type}-${id}`;
}

function kernelLanguage(model) {
  const name = model.getMetadata("language_info")?.name ?? model.getMetadata("kernelspec")?.language;
  return languageId(name || model.defaultKernelLanguage || "python");
}
