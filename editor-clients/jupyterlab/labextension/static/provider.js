// What JupyterLab asks for ghost text (its IInlineCompletionProvider): it asks the language server.
import { Books } from "./books.js";
import { bookOf, cursorOf, isPage } from "./pages.js";
import { Server } from "./server.js";
import { ghost } from "./text.js";

const INVOKED = 1;
const AUTOMATIC = 2;
const BY_JUPYTERLAB_INVOKED = 0;
const ACTIVE = "jp-mod-inline-completer-active";
const GHOST = ".jp-GhostText:not(.jp-GhostText-letterSpacer, .jp-GhostText-lineSpacer)";
const STATUS = { command: "codegen.status", arguments: [] };
const POLL_MS = 1000;
const PATIENCE_MS = 120_000;
const CAPABILITIES = {
  general: { positionEncodings: ["utf-16"] },
  textDocument: {
    inlineCompletion: {},
    codeAction: {
      codeActionLiteralSupport: { codeActionKind: { valueSet: ["refactor.rewrite"] } },
      resolveSupport: { properties: ["edit"] },
    },
  },
  notebookDocument: { synchronization: {} },
};

export class Provider {
  identifier = "codegen-lsp";
  name = "codegen-lsp";
  /** Of JupyterLab's settings "Inline Completer"; it adds `enabled`, `timeout` and others to these. */
  schema = {
    properties: {
      server: {
        title: "Settings of the server",
        description: 'By their names, for example {"max_tokens": 64, "disabled_languages": ["r"]}.',
        type: "object",
        additionalProperties: true,
      },
    },
    default: { enabled: true, autoFillInMiddle: true, timeout: PATIENCE_MS, server: {} },
  };
  #settings = { enabled: false, server: {} };
  #watched = new WeakSet();
  /** @type {WeakMap<object, string>} */
  #uris = new WeakMap();
  /** Whether it is us who invoke, on a line that is still blank, where JupyterLab does not ask by itself. */
  #isUnasked = false;
  #newest = 0;
  #timer;
  #isWaiting = false;
  #isLoaded = false;

  /**
   * @param {any} app
   * @param {any} manager ICompletionProviderManager
   * @param {(message: string, type?: number) => void} say To the user; with LSP's MessageType.
   * @param {(texts: string[]) => void} offer Hears what is offered at the cursor.
   */
  constructor(app, manager, say, offer) {
    this.app = app;
    this.manager = manager;
    this.offer = offer;
    this.root = JSON.parse(document.getElementById("jupyter-config-data")?.textContent ?? "{}").rootUri ?? "";
    this.server = new Server({
      open: () => socket(app.serviceManager.serverSettings),
      initialize: () => this.#initialize(),
      onReady: () => this.#begin(),
      onProblem: say,
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

  /**
   * @param {unknown} _
   * @param {any} context IInlineCompletionContext
   */
  async fetch(_, { widget, triggerKind }) {
    const context = { triggerKind: triggerKind === BY_JUPYTERLAB_INVOKED && !this.#isUnasked ? INVOKED : AUTOMATIC };
    const number = (this.#newest += 1);
    this.watch(widget);
    const cursor = await this.at(widget);
    if (!cursor) {
      return { items: [] };
    }
    const { uri, position, line } = cursor;
    const place = { textDocument: { uri }, position };
    const reply = await this.server.request("textDocument/inlineCompletion", { ...place, context });
    const texts = (reply?.items ?? []).map((item) => ghost(item, line, position.character)).filter(Boolean);
    if (number === this.#newest) {
      this.offer(texts);
    }
    if (!texts.length) {
      this.#askWhenLoaded(widget, uri);
    }
    return { items: texts.map((insertText) => ({ insertText })) };
  }

  /** Where the cursor is, in a page of which the server knows what it is now; undefined elsewhere. */
  async at(widget) {
    if (!isPage(widget)) {
      return undefined;
    }
    await Promise.all([widget.context.ready, this.server.ready()]);
    return widget.isDisposed ? undefined : cursorOf(widget, this.#update(widget));
  }

  /** Tell the server of a page from now on. */
  watch(widget) {
    if (!this.#settings.enabled || !isPage(widget)) {
      return;
    }
    this.#tell(widget);
    if (!this.#watched.has(widget)) {
      this.#watched.add(widget);
      widget.context.ready.then(() => widget.context.model.contentChanged.connect(() => this.#changed(widget)));
      widget.disposed.connect(() => this.#forget(widget));
    }
  }

  /** Also a new cell is a change, and the output of one that runs; where nothing was written, nobody is asked. */
  #changed(widget) {
    if (!this.#settings.enabled || widget.isDisposed) {
      return;
    }
    const cursor = cursorOf(widget, bookOf(widget, this.root));
    const known = cursor && this.books.text(cursor.uri);
    if (known !== undefined && known !== cursor.editor.model.sharedModel.getSource()) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#settled(widget, cursor)); // The cursor is not yet where it will be.
    }
    this.#tell(widget);
  }

  #settled(widget, { editor, uri }) {
    if (!editor.host.querySelector(GHOST)) {
      editor.host.classList.remove(ACTIVE); // JupyterLab would go on taking Tab for what it no longer shows.
    }
    this.#ask(widget, uri, isBlank);
  }

  #tell(widget) {
    this.at(widget).catch(() => {}); // The user has been told.
  }

  #update(widget) {
    const book = bookOf(widget, this.root);
    if (this.#uris.has(widget) && this.#uris.get(widget) !== book.uri) {
      this.#forget(widget); // It was renamed.
    }
    this.#uris.set(widget, book.uri);
    this.books.update(book);
    return book;
  }

  #forget(widget) {
    if (this.server.isReady) {
      this.books.close(this.#uris.get(widget));
    }
  }

  /** Who got nothing because the model was not there yet would wait for it until they type on. */
  async #askWhenLoaded(widget, uri) {
    if (this.#isLoaded || this.#isWaiting) {
      return;
    }
    this.#isWaiting = true;
    const state = async () => (await this.server.request("workspace/executeCommand", STATUS)).state;
    try {
      const first = await state();
      let now = first;
      while (now === "idle" || now === "loading") {
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
        now = await state();
      }
      this.#isLoaded = now === "ready";
      if (this.#isLoaded && first !== now) {
        this.#ask(widget, uri);
      }
    } catch {
      // The server has ended: the next one has a model to load, too.
    } finally {
      this.#isWaiting = false;
    }
  }

  /** Have JupyterLab ask, where the cursor is still in that document. */
  #ask(widget, uri, isWanted = () => true) {
    const cursor = widget.isDisposed ? undefined : cursorOf(widget, bookOf(widget, this.root));
    if (cursor?.uri === uri && cursor.editor.hasFocus() && isWanted(cursor)) {
      this.#isUnasked = true;
      this.manager.inline?.invoke(widget.id);
      this.#isUnasked = false;
    }
  }

  #begin() {
    this.#isLoaded = false;
    this.books.forget();
  }

  #initialize() {
    return {
      processId: null,
      clientInfo: { name: "JupyterLab", version: this.app.version },
      rootUri: this.root || null,
      initializationOptions: this.#settings.server,
      capabilities: CAPABILITIES,
    };
  }
}

function isBlank({ line, position }) {
  return !line.slice(0, position.character).trim();
}

function socket({ WebSocket, wsUrl, token, appendToken }) {
  const query = appendToken && token ? `?token=${encodeURIComponent(token)}` : "";
  return new WebSocket(`${wsUrl.replace(/\/$/u, "")}/codegen-lsp/ws${query}`);
}
