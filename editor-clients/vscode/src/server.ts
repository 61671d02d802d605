// The server as the extension sees it: found, started once at a time, asked for its state.
import { accessSync, constants, statSync } from "node:fs";
import * as vscode from "vscode";
import { LanguageClient, LanguageClientOptions, Middleware, State } from "vscode-languageclient/node";
import { Command, findServer } from "./pure/command.js";
import { initializationOptions } from "./pure/settings.js";
import { Server as Known } from "./pure/status.js";

const POLL_MS = 1000;
/** An answer that comes sooner is seen itself: a sign that flickers with every key is none. */
const SLOW_MS = 250;

export class Server implements vscode.Disposable {
  known: Known = { process: "starting", waiting: 0 };
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChange = this.changed.event;
  private client: LanguageClient | undefined;
  private poll: NodeJS.Timeout | undefined;
  private unanswered = 0;
  /** Whether a request got nothing because the model was not there yet. */
  private hasMissed = false;
  /** Starts and stops, one after the other. */
  private queue: Promise<void> = Promise.resolve();

  constructor(
    private readonly extension: string,
    private readonly output: vscode.LogOutputChannel,
    private readonly isOff: (document: vscode.TextDocument) => boolean,
  ) {}

  /** Stop what runs and start anew; whether a server runs then. */
  restart(): Promise<boolean> {
    const done = this.queue.then(() => this.stopNow()).then(() => this.startNow());
    this.queue = done.then(
      () => undefined,
      () => undefined,
    );
    return done;
  }

  stop(): Promise<void> {
    return (this.queue = this.queue.then(() => this.stopNow()));
  }

  /** The answer to one of the server's commands. Rejects when there is no server. */
  async execute<T>(command: string): Promise<T> {
    if (!this.client?.isRunning()) {
      throw new Error("the server is not running");
    }
    return this.client.sendRequest<T>("workspace/executeCommand", { command, arguments: [] });
  }

  dispose(): void {
    clearTimeout(this.poll);
    this.changed.dispose();
  }

  private async startNow(): Promise<boolean> {
    const found = findServer(place(this.extension), isExecutable);
    this.tell({ process: found ? "starting" : "missing", waiting: 0 });
    if (!found) {
      return false;
    }
    this.output.info(`starting ${found.command} (from: ${found.source})`);
    const client = (this.client = this.newClient(found));
    client.onDidChangeState(({ newState }) => this.isNow(newState));
    try {
      await client.start();
    } catch (error) {
      this.output.error(`not started: ${error}`);
      this.tell({ process: "stopped" });
      return false;
    }
    return true;
  }

  private async stopNow(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    clearTimeout(this.poll);
    try {
      await client?.dispose();
    } catch (error) {
      this.output.warn(`not stopped in order: ${error}`);
    }
  }

  private newClient(found: Command): LanguageClient {
    // Not in the workspace's folder: `python -m` would run what lies there.
    const run = { command: found.command, args: found.args, options: { cwd: this.extension } };
    const options: LanguageClientOptions = {
      documentSelector: [{ scheme: "file" }, { scheme: "untitled" }, { scheme: "vscode-notebook-cell" }],
      initializationOptions: startingSettings,
      synchronize: { configurationSection: "codegen" },
      outputChannel: this.output,
      middleware: this.middleware(),
    };
    return new LanguageClient("codegen", "codegen-lsp", run, options);
  }

  /** Nothing is asked in a file that the user has switched off; how many wait is what the status bar shows. */
  private middleware(): Middleware {
    return {
      provideInlineCompletionItems: (document, position, context, token, next) =>
        this.isOff(document) ? null : this.counted(async () => next(document, position, context, token)),
      provideCompletionItem: (document, position, context, token, next) =>
        this.isOff(document) ? null : next(document, position, context, token),
      provideCodeActions: (document, range, context, token, next) =>
        this.isOff(document) ? null : next(document, range, context, token),
    };
  }

  private async counted<T>(ask: () => Promise<T>): Promise<T> {
    this.unanswered += 1;
    this.pollSoon();
    let isAnswered = false;
    let seen = 0;
    const timer = setTimeout(() => this.tell({ waiting: this.known.waiting + (seen = 1) }), SLOW_MS);
    try {
      const answer = await ask();
      isAnswered = hasItems(answer);
      return answer;
    } finally {
      clearTimeout(timer);
      this.unanswered -= 1;
      this.tell({ waiting: Math.max(0, this.known.waiting - seen) });
      if (this.known.state !== "ready") {
        this.hasMissed ||= !isAnswered;
        void this.refresh();
      }
    }
  }

  private isNow(state: State): void {
    if (state === State.Running) {
      this.tell({ process: "running", waiting: 0 });
      void this.refresh();
    } else {
      this.tell({ process: state === State.Starting ? "starting" : "stopped", state: undefined });
    }
  }

  /** Ask for the model's state, and again while it is on its way. */
  async refresh(): Promise<void> {
    try {
      const { state, model, error } = await this.execute<Pick<Known, "state" | "model" | "error">>("codegen.status");
      this.tell({ state, model, error });
    } catch {
      return; // What became of the server is told by its state.
    }
    if (this.hasMissed && this.known.state === "ready") {
      // Whoever waits for the model at the place of their comment would wait until they type on.
      this.hasMissed = false;
      void vscode.commands.executeCommand("editor.action.inlineSuggest.trigger");
    }
    this.pollSoon();
  }

  private pollSoon(): void {
    clearTimeout(this.poll);
    const isOnItsWay = this.known.state === "loading" || (this.unanswered > 0 && this.known.state !== "ready");
    if (isOnItsWay) {
      this.poll = setTimeout(() => void this.refresh(), POLL_MS);
    }
  }

  private tell(news: Partial<Known>): void {
    this.known = { ...this.known, ...news };
    this.changed.fire();
  }
}

function place(extension: string) {
  return {
    setting: vscode.workspace.getConfiguration("codegenClient").get<string[]>("serverCommand", []),
    extension,
    folders: (vscode.workspace.workspaceFolders ?? []).map((folder) => folder.uri.fsPath),
    isTrusted: vscode.workspace.isTrusted,
    searchPath: process.env.PATH ?? "",
    platform: process.platform,
  };
}

function hasItems(answer: unknown): boolean {
  const items = Array.isArray(answer) ? answer : (answer as vscode.InlineCompletionList | null | undefined)?.items;
  return (items?.length ?? 0) > 0;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

function startingSettings(): Record<string, unknown> {
  const merged = vscode.workspace.getConfiguration("codegen");
  const plain = JSON.parse(JSON.stringify(merged)) as Record<string, unknown>;
  return initializationOptions(plain, (name) => merged.inspect(name)?.globalValue);
}
