// Starts the server and hands everything to the client library, which registers inline completion itself.
// No prompt logic here: what to offer, and where, is the server's business.
import { randomBytes } from "node:crypto";
import * as vscode from "vscode";
import { newStatusBar, showMenu } from "./menu.js";
import { INSTALL } from "./pure/command.js";
import { Trace, explainPage } from "./pure/explain.js";
import { Server } from "./server.js";
import { Switches } from "./switches.js";

let server: Server | undefined;

export function activate(context: vscode.ExtensionContext): void {
  const output = vscode.window.createOutputChannel("codegen-lsp", { log: true });
  const switches = new Switches(context.workspaceState);
  const running = (server = new Server(context.extensionPath, output, (document) => switches.isFileOff(document)));
  const { bar, update } = newStatusBar(running, switches);
  const explain = newExplain(running);
  const commands: Record<string, () => unknown> = {
    "codegen-lsp.menu": () => showMenu(running, switches),
    "codegen-lsp.toggle": () => switches.toggle(),
    "codegen-lsp.toggleLanguage": () => switches.toggleLanguage(),
    "codegen-lsp.toggleFile": () => switches.toggleFile().then(update),
    "codegen-lsp.explain": () => orSay(explain),
    "codegen-lsp.restart": () => start(running),
    "codegen-lsp.restartModel": () => orSay(() => restartModel(running)),
    "codegen-lsp.showOutput": () => output.show(),
    "codegen-lsp.firstSteps": () => firstSteps(context.extension.id),
  };
  context.subscriptions.push(
    ...Object.entries(commands).map(([name, run]) => vscode.commands.registerCommand(name, run)),
    running.onDidChange(update),
    vscode.window.onDidChangeActiveTextEditor(update),
    vscode.workspace.onDidChangeConfiguration((event) => {
      update();
      // The server takes these when it starts and not later.
      if (["codegenClient", "codegen.run_examples"].some((name) => event.affectsConfiguration(name))) {
        void start(running);
      }
    }),
    vscode.workspace.onDidGrantWorkspaceTrust(() => running.known.process === "missing" && start(running)),
    bar,
    output,
    running,
  );
  void start(running);
}

export function deactivate(): Thenable<void> | undefined {
  return server?.stop();
}

async function start(running: Server): Promise<void> {
  if (await running.restart()) {
    return;
  }
  const what = running.known.process === "missing" ? "the server was not found" : "the server could not be started";
  const choices = ["Open settings", "Show the output", "Try again"];
  const choice = await vscode.window.showErrorMessage(`codegen-lsp: ${what}. ${INSTALL}`, ...choices);
  if (choice === "Open settings") {
    await vscode.commands.executeCommand("workbench.action.openSettings", "codegenClient.serverCommand");
  } else if (choice) {
    await vscode.commands.executeCommand(choice === "Try again" ? "codegen-lsp.restart" : "codegen-lsp.showOutput");
  }
}

async function orSay(act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    void vscode.window.showWarningMessage(`codegen-lsp: ${error instanceof Error ? error.message : error}`);
  }
}

/** Shows the last request in the one page that there is of it. */
function newExplain(running: Server): () => Promise<void> {
  let panel: vscode.WebviewPanel | undefined;
  return async () => {
    const trace = await running.execute<Trace | null>("codegen.explainLast");
    if (panel) {
      panel.reveal(undefined, true);
    } else {
      panel = newPanel();
      panel.onDidDispose(() => (panel = undefined));
    }
    panel.webview.html = explainPage(trace, randomBytes(16).toString("base64url"));
  };
}

/** Without scripts, and without anything that it could load. */
function newPanel(): vscode.WebviewPanel {
  const options = { enableScripts: false, localResourceRoots: [] };
  const column = { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true };
  return vscode.window.createWebviewPanel("codegen-lsp.explain", "Explain suggestion", column, options);
}

async function restartModel(running: Server): Promise<void> {
  const title = "codegen-lsp: restarting the model";
  const location = vscode.ProgressLocation.Window;
  await vscode.window.withProgress({ location, title }, () => running.execute("codegen.restartHost"));
  await running.refresh();
}

function firstSteps(extension: string): Thenable<unknown> {
  return vscode.commands.executeCommand("workbench.action.openWalkthrough", `${extension}#codegen-lsp.firstSteps`);
}
