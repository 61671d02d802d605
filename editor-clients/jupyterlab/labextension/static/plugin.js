// Ghost text of codegen-lsp in JupyterLab: trigger, show, accept. What is offered, and where, is the server's business.
import { apply } from "./pages.js";
import { Provider } from "./provider.js";
import { firstLine, word } from "./text.js";

const NAME = "codegen-lsp";
const ERROR = 1;
const WARNING = 2;
const INFO = 3;
const LEVELS = { [ERROR]: "error", [WARNING]: "warning", [INFO]: "info" };
const SHOWN_MS = 10_000;
const GHOST = ".jp-mod-inline-completer-active";
const EDITORS = [".jp-CodeCell .jp-InputArea-editor", ".jp-FileEditor"];

/** The plugin, given the token of JupyterLab's manager of completions. */
export function pluginFor(ICompletionProviderManager) {
  return {
    id: `${NAME}:plugin`,
    description: "Ghost text of codegen-lsp.",
    autoStart: true,
    requires: [ICompletionProviderManager],
    activate(app, manager) {
      const say = (message, type = WARNING) => notify(app, message, type);
      const accept = new Accept();
      const provider = new Provider(app, manager, say, (texts) => accept.begin(texts));
      manager.registerInlineProvider(provider);
      app.shell.currentChanged?.connect((_, { newValue }) => provider.watch(newValue));
      addParts(app, provider, accept);
      addDismiss(app, provider);
      addAction(app, provider, say);
    },
  };
}

/** What is offered at the cursor, and which of it is shown: JupyterLab does not say. */
class Accept {
  #texts = [];
  #shown = 0;

  begin(texts) {
    this.#texts = texts;
    this.#shown = 0;
  }

  cycle(step) {
    const count = this.#texts.length || 1;
    this.#shown = (this.#shown + step + count) % count;
  }

  /** A part of what is shown; the rest of it stays. */
  take(part) {
    const shown = this.#texts[this.#shown] ?? "";
    const taken = part(shown);
    const left = this.#texts.filter((text) => text.startsWith(taken));
    this.#shown = Math.max(0, left.indexOf(shown));
    this.#texts = left.map((text) => text.slice(taken.length));
    return taken;
  }
}

/** Accepting a word or a line: JupyterLab takes it for typing, and goes on showing the rest. */
function addParts({ commands, shell }, provider, accept) {
  const add = (name, label, part) => {
    const execute = async () => type((await provider.at(shell.currentWidget))?.editor.editor, accept.take(part));
    commands.addCommand(`${NAME}:accept-${name}`, { label, execute });
  };
  add("word", "Accept a word of the suggestion", word);
  add("line", "Accept a line of the suggestion", firstLine);
  document.addEventListener("keydown", (event) => takeFirst(commands, event), true);
  const steps = { "inline-completer:next": 1, "inline-completer:previous": -1 };
  commands.commandExecuted.connect((_, { id }) => accept.cycle(steps[id] ?? 0));
}

/** In a notebook, Escape leaves the cell, and with it the suggestion; elsewhere JupyterLab has no key for it. */
function addDismiss({ commands, shell }, provider) {
  const execute = async () => {
    const { editor } = (await provider.at(shell.currentWidget)) ?? {};
    editor?.blur();
    editor?.focus();
  };
  commands.addCommand(`${NAME}:dismiss`, { label: "Dismiss the suggestion", execute });
}

/** By CodeMirror, so that text and cursor change at once: JupyterLab's own method moves the cursor afterwards. */
function type(view, text) {
  view?.dispatch(view.state.replaceSelection(text));
}

/** The editor would move the cursor by these keys, before JupyterLab looks whose they are. */
function takeFirst(commands, event) {
  const stroke = commands.constructor.keystrokeForKeydownEvent(event);
  const isOurs = ({ command, keys }) => command.startsWith(NAME) && keys[0] === stroke;
  if (event.target instanceof Element && event.target.closest(GHOST) && commands.keyBindings.some(isOurs)) {
    commands.processKeydownEvent(event);
  }
}

/** The server's code action where the cursor is, in the menu of the right mouse button. */
function addAction({ commands, contextMenu, shell }, provider, say) {
  const command = `${NAME}:write`;
  commands.addCommand(command, {
    label: "Write what the comment or docstring says",
    execute: () => write(provider, shell.currentWidget, say).catch((error) => say(error.message)),
  });
  for (const selector of EDITORS) {
    contextMenu.addItem({ command, selector, rank: 0 });
  }
}

async function write(provider, widget, say) {
  const cursor = await provider.at(widget);
  if (!cursor) {
    return;
  }
  const { editor, uri, position } = cursor;
  const where = { textDocument: { uri }, range: { start: position, end: position }, context: { diagnostics: [] } };
  const [action] = await provider.server.request("textDocument/codeAction", where);
  const before = editor.model.sharedModel.getSource();
  const { edit } = action ? await provider.server.request("codeAction/resolve", action) : {};
  const edits = edit?.changes?.[uri];
  if (!edits?.length) {
    say("there is nothing to write here", INFO);
  } else if (before === editor.model.sharedModel.getSource()) {
    apply(editor, edits);
    editor.focus();
  }
}

function notify({ commands }, message, type) {
  const options = { autoClose: SHOWN_MS };
  commands.execute("apputils:notify", { message: `${NAME}: ${message}`, type: LEVELS[type] ?? "info", options });
}
