// Ghost text of codegen-lsp in JupyterLab: trigger, show, accept. What is offered, and where, is the server's business.
import { Books } from "./books.js";
import { bookOf, cursorOf, isPage, uriOf } from "./pages.js";
import { Server } from "./server.js";
import { firstLine, ghost, word } from "./text.js";

const ID = "codegen-lsp";
const INVOKED = 1;
const AUTOMATIC = 2;
const LEVELS = { 1: "error", 2: "warning", 3: "info" };
const WARNING = 2;
const SCHEMA = {
  properties: {
    server: {
      title: "Settings of the server",
      description: 'For example {"max_tokens": 64, "disabled_languages": ["r"]}; codegen-lsp documents them all.',
      type: "object",
      additionalProperties: true,
    },
  },
  default: { enabled: true, autoFillInMiddle: true, timeout: 120_000, server: {} },
};

/** The plugin, given the token of JupyterLab's manager of completions. */
export function pluginFor(ICompletionProviderManager) {
  return {
    id: `${ID}:plugin`,
    description: "Ghost text of codegen-lsp.",
    autoStart: true,
    requires: [ICompletionProviderManager],
    activate(app, manager) {
      const provider = new Provider(app, manager);
      manager.registerInlineProvider(provider);
      provider.addCommands();
      app.shell.currentChanged?.connect((_, { newValue }) => provider.watch(newValue));
    },
  };
}

/** JupyterLab's IInlineCompletionProvider. */
class Provider {
  identifier = ID;
  name = ID;
  schema = SCHEMA;
  #settings = SCHEMA.default;
  #watched = new WeakSet();
  /** Whether it is us who invoke, for a line that is still blank, where JupyterLab does not ask by itself. */
  #isUnasked = false;
  /** What is offered at the cursor, and which of it is shown. */
  #offered = [];
  #shown = 0;

  constructor(app, manager) {
    this.app = app;
    this.manager = manager;
    this.root = JSON.parse(document.getElementById("jupyter-config-data")?.textContent ?? "{}").rootUri ?? "";
    this.server = new Server({
      open: () => socket(app.serviceManager.serverSettings),
      initialize: () => initialize(this.root, this.#settings.server),
      onReady: () => this.books.forget(),
      onProblem: (message, type) => this.#say(message, type),
    });
    this.books = new Books((method, params) => this.server.notify(method, params));
  }

  /** JupyterLab's settings of this provider, at the start and whenever they change. */
  configure(settings) {
    const isOther = JSON.stringify(settings.server) !== JSON.stringify(this.#settings.server);
    this.#settings = settings;
    if (!settings.enabled) {
      this.server.close();
    } else if (isOther && this.server.isReady) {
      this.server.notify("workspace/didChangeConfiguration", { settings: settings.server });
    }
    this.watch(this.app.shell.currentWidget);
  }

  /** @param {any} context IInlineCompletionContext */
  async fetch(_, { widget, triggerKind }) {
    const isInvoked = triggerKind === 0 && !this.#isUnasked;
    this.watch(widget);
    this.#offered = [];
    await this.server.ready();
    const cursor = isPage(widget) && cursorOf(widget, this.root);
    if (!cursor) {
      return { items: [] };
    }
    this.books.update(bookOf(widget, this.root));
    const { uri, position, text } = cursor;
    const context = { triggerKind: isInvoked ? INVOKED : AUTOMATIC };
    const reply = await this.server.request("textDocument/inlineCompletion", { textDocument: { uri }, position, context });
    const texts = (reply?.items ?? []).map((item) => ghost(item, text, position.character)).filter(Boolean);
    this.#offered = texts;
    this.#shown = 0;
    return { items: texts.map((insertText) => ({ insertText })) };
  }

  /** Tell the server of a page from now on. */
  watch(widget) {
    if (!this.#settings.enabled || !isPage(widget)) {
      return;
    }
    this.#tell(widget);
    if (!this.#watched.has(widget)) {
      this.#watched.add(widget);
      widget.context.model.contentChanged.connect(() => this.#changed(widget));
      widget.disposed.connect(() => this.books.close(uriOf(widget, this.root)));
    }
  }

  addCommands() {
    const { commands } = this.app;
    commands.addCommand(`${ID}:accept-word`, { label: "Accept a word of the suggestion", execute: () => this.#take(word) });
    commands.addCommand(`${ID}:accept-line`, { label: "Accept a line of the suggestion", execute: () => this.#take(firstLine) });
    commands.addKeyBinding({ command: `${ID}:accept-word`, keys: ["Accel ArrowRight"], selector: ".jp-mod-inline-completer-active" });
    commands.addKeyBinding({ command: `${ID}:accept-line`, keys: ["Accel Alt ArrowRight"], selector: ".jp-mod-inline-completer-active" });
    commands.commandExecuted.connect((_, { id }) => {
      const step = { "inline-completer:next": 1, "inline-completer:previous": this.#offered.length - 1 }[id] ?? 0;
      this.#shown = (this.#shown + step) % (this.#offered.length || 1);
    });
  }

  /** Type a part of what is shown: what is left of it stays. */
  #take(part) {
    const cursor = cursorOf(this.app.shell.currentWidget, this.root);
    const text = this.#offered[this.#shown];
    if (cursor && text) {
      cursor.editor.replaceSelection(part(text));
    }
  }

  #changed(widget) {
    if (!this.#settings.enabled) {
      return;
    }
    this.#tell(widget);
    setTimeout(() => this.#askOnBlankLine(widget)); // The cursor is not yet where it will be.
  }

  #tell(widget) {
    this.server
      .ready()
      .then(() => !widget.isDisposed && this.books.update(bookOf(widget, this.root)))
      .catch(() => {}); // The user has been told.
  }

  #askOnBlankLine(widget) {
    const cursor = !widget.isDisposed && cursorOf(widget, this.root);
    if (cursor && cursor.editor.hasFocus() && !cursor.text.slice(0, cursor.position.character).trim()) {
      this.#isUnasked = true;
      this.manager.inline?.invoke(widget.id);
      this.#isUnasked = false;
    }
  }

  #say(message, type = WARNING) {
    const options = { autoClose: 10_000 };
    this.app.commands.execute("apputils:notify", { message: `${ID}: ${message}`, type: LEVELS[type] ?? "info", options });
  }
}

function socket({ WebSocket, wsUrl, token, appendToken }) {
  const query = appendToken && token ? `?token=${encodeURIComponent(token)}` : "";
  return new WebSocket(`${wsUrl.replace(/\/$/u, "")}/codegen-lsp/ws${query}`);
}

function initialize(rootUri, initializationOptions) {
  const capabilities = {
    general: { positionEncodings: ["utf-16"] },
    textDocument: { inlineCompletion: {} },
    notebookDocument: { synchronization: {} },
  };
  return { processId: null, clientInfo: { name: "JupyterLab" }, rootUri: rootUri || null, initializationOptions, capabilities };
}
