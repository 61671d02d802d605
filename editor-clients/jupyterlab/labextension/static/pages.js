// JupyterLab's widgets as the server is told of them: a notebook's panel and a text editor's are books.
import { kindOf } from "./books.js";

/** Where CodeMirror's name of a language is not LSP's. */
const LANGUAGES = { "c++": "cpp", "c++src": "cpp", csrc: "c", rustsrc: "rust", sh: "shellscript", bash: "shellscript", ipython: "python" };

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
 * Whether a widget is one that holds code. Its `context` has the path and the signal of its changes.
 *
 * @param {any} widget
 */
export function isPage(widget) {
  return Boolean(widget?.context?.model && (widget.content?.editor || widget.content?.model?.cells));
}

/**
 * @param {any} widget A page.
 * @param {string} root URI of the folder that Jupyter serves.
 * @returns {import("./books.js").Book}
 */
export function bookOf(widget, root) {
  const uri = uriOf(widget, root);
  const { content, context } = widget;
  if (content.editor) {
    return { uri, file: { uri, languageId: languageId(content.model.mimeType), text: context.model.sharedModel.getSource() } };
  }
  const language = kernelLanguage(content.model);
  return { uri, cells: Array.from(content.model.cells, (cell) => cellOf(cell, uri, language)) };
}

/**
 * @param {any} widget
 * @param {string} root
 */
export function uriOf({ context }, root) {
  return `${root.replace(/\/$/u, "")}/${context.localPath.split("/").map(encodeURIComponent).join("/")}`;
}

/**
 * Where the cursor is, in LSP's terms, and its line; undefined where there is none.
 *
 * @param {any} widget
 * @param {string} root
 */
export function cursorOf({ content, context }, root) {
  const editor = content.editor ?? content.activeCell?.editor;
  if (!editor) {
    return undefined;
  }
  const { line, column } = editor.getCursorPosition();
  const notebook = uriOf({ context }, root);
  const uri = content.editor ? notebook : cellUri(content.activeCell.model, notebook);
  return { editor, uri, position: { line, character: column }, text: editor.getLine(line) ?? "" };
}

function cellOf(cell, notebook, language) {
  const { id, type } = cell;
  const text = cell.sharedModel.getSource();
  return { uri: cellUri({ id, type }, notebook), kind: kindOf(type), languageId: type === "code" ? language : "markdown", text };
}

/** Its id alone would not do: JupyterLab keeps it when a cell becomes one of another kind. */
function cellUri({ id, type }, notebook) {
  return `${notebook.replace(/^file:/u, "vscode-notebook-cell:")}#${type}-${id}`;
}

function kernelLanguage(model) {
  const name = model.getMetadata("language_info")?.name ?? model.getMetadata("kernelspec")?.language;
  return languageId(name ?? model.defaultKernelLanguage ?? "python");
}
