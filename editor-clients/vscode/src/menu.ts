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
  const title = statusItem(server.known, switches.values()).tooltip;
  const chosen = await vscode.window.showQuickPick(entries(switches), { title: "codegen-lsp", placeHolder: title });
  if (chosen?.command) {
    await vscode.commands.executeCommand(chosen.command);
  }
}

type Entry = vscode.QuickPickItem & { command?: string };

/** What changes nothing comes first: that is what Enter takes. */
function entries(switches: Switches): Entry[] {
  return [
    entry("Explain the last suggestion", "codegen-lsp.explain", "eye"),
    heading("on or off"),
    ...toggles(switches),
    heading("when something is wrong"),
    entry("Restart the server", "codegen-lsp.restart", "sync"),
    entry("Restart the model", "codegen-lsp.restartModel", "refresh"),
    entry("Show the output", "codegen-lsp.showOutput", "output"),
    entry("First steps", "codegen-lsp.firstSteps", "book"),
  ];
}

function toggles(switches: Switches): Entry[] {
  const { enabled, languages, language, isFileOff } = switches.values();
  const all = toggle(!enabled, "", "codegen-lsp.toggle");
  const here = language && [
    toggle(languages.includes(language), ` for ${language}`, "codegen-lsp.toggleLanguage"),
    toggle(isFileOff, " for this file", "codegen-lsp.toggleFile"),
  ];
  return [all, ...(here || [])];
}

function toggle(isOff: boolean, where: string, command: string): Entry {
  return entry(`Switch ${isOff ? "on" : "off"}${where}`, command, isOff ? "sparkle" : "circle-slash");
}

function entry(label: string, command: string, icon: string): Entry {
  return { label, command, iconPath: new vscode.ThemeIcon(icon) };
}

function heading(label: string): Entry {
  return { label, kind: vscode.QuickPickItemKind.Separator };
}
