// The status bar item, and the menu behind it.
import * as vscode from "vscode";
import { Server } from "./server.js";
import { Switches } from "./switches.js";
import { statusItem } from "./pure/status.js";

/** The item, kept up to date; to be disposed of. */
export function newStatusBar(server: Server, switches: Switches): { bar: vscode.StatusBarItem; update: () => void } {
  const bar = vscode.window.createStatusBarItem("codegen-lsp.status", vscode.StatusBarAlignment.Right, 100);
  bar.name = "codegen-lsp";
  bar.command = "codegen-lsp.menu";
  const update = () => {
    const item = statusItem(server.known, switches.values());
    bar.text = item.text;
    bar.tooltip = item.tooltip;
    bar.accessibilityInformation = { label: `codegen-lsp: ${item.tooltip}`, role: "button" };
    bar.backgroundColor =
      item.kind === "error" ? new vscode.ThemeColor("statusBarItem.warningBackground") : undefined;
  };
  update();
  bar.show();
  return { bar, update };
}

export async function showMenu(server: Server, switches: Switches): Promise<void> {
  const { enabled, languages, language, isFileOff } = switches.values();
  const entries = [
    { label: enabled ? "Switch off" : "Switch on", command: "codegen-lsp.toggle" },
    ...(language
      ? [
          { label: `Switch ${word(languages.includes(language))} for ${language}`, command: "codegen-lsp.toggleLanguage" },
          { label: `Switch ${word(isFileOff)} for this file`, command: "codegen-lsp.toggleFile" },
        ]
      : []),
    { label: "Explain the last suggestion", command: "codegen-lsp.explain" },
    { label: "Restart the server", command: "codegen-lsp.restart" },
    { label: "Restart the model", command: "codegen-lsp.restartModel" },
    { label: "Show the output", command: "codegen-lsp.showOutput" },
    { label: "First steps", command: "codegen-lsp.firstSteps" },
  ];
  const title = statusItem(server.known, switches.values()).tooltip;
  const chosen = await vscode.window.showQuickPick(entries, { title: "codegen-lsp", placeHolder: title });
  if (chosen) {
    await vscode.commands.executeCommand(chosen.command);
  }
}

function word(isOff: boolean): string {
  return isOff ? "on" : "off";
}
