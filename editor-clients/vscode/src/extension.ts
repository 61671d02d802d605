// Starts the server and hands everything to the client library, which registers inline completion itself.
// No prompt logic here: what to offer, and where, is the server's business.
import * as vscode from "vscode";
import { LanguageClient, LanguageClientOptions, ServerOptions } from "vscode-languageclient/node";

let client: LanguageClient | undefined;

function newClient(): LanguageClient {
  const [command, ...args] = vscode.workspace
    .getConfiguration("codegenClient")
    .get<string[]>("serverCommand", ["codegen-lsp", "serve"]);
  const server: ServerOptions = { command, args };
  const options: LanguageClientOptions = {
    documentSelector: [{ scheme: "file" }, { scheme: "untitled" }, { scheme: "vscode-notebook-cell" }],
    initializationOptions: vscode.workspace.getConfiguration("codegen"),
    synchronize: { configurationSection: "codegen" },
  };
  return new LanguageClient("codegen", "codegen-lsp", server, options);
}

async function start(): Promise<void> {
  client = newClient();
  try {
    await client.start();
  } catch (error) {
    client = undefined;
    const choice = await vscode.window.showErrorMessage(
      `codegen-lsp could not be started: ${error}. Install it with "pip install codegen-lsp", ` +
        `or set codegenClient.serverCommand to its full path.`,
      "Open settings",
    );
    if (choice) {
      await vscode.commands.executeCommand("workbench.action.openSettings", "codegenClient.serverCommand");
    }
  }
}

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  context.subscriptions.push(
    vscode.commands.registerCommand("codegen-lsp.restart", async () => {
      await client?.stop();
      await start();
    }),
    vscode.commands.registerCommand("codegen-lsp.toggle", async () => {
      const settings = vscode.workspace.getConfiguration("codegen");
      await settings.update("enabled", !settings.get("enabled", true), vscode.ConfigurationTarget.Global);
    }),
  );
  await start();
}

export function deactivate(): Thenable<void> | undefined {
  return client?.stop();
}
