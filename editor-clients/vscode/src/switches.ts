// Where the user has switched it off: globally and per language in the user's settings, per file in the editor's memory.
import * as vscode from "vscode";
import { toggled } from "./pure/settings.js";
import { Switches as Values } from "./pure/status.js";

const FILES = "filesOff";

export class Switches {
  constructor(private readonly memory: vscode.Memento) {}

  /** Not in a setting: a pattern would mean files of the same name elsewhere, and be written into the repository. */
  isFileOff(document: vscode.TextDocument): boolean {
    return this.files().includes(keyOf(document));
  }

  values(): Values {
    const settings = vscode.workspace.getConfiguration("codegen");
    const document = vscode.window.activeTextEditor?.document;
    return {
      enabled: settings.get("enabled", true),
      languages: settings.get<string[]>("disabled_languages", []),
      language: document?.languageId,
      isFileOff: document !== undefined && this.isFileOff(document),
    };
  }

  async toggle(): Promise<void> {
    const wanted = !this.values().enabled;
    await vscode.workspace.getConfiguration("codegen").update("enabled", wanted, vscode.ConfigurationTarget.Global);
    if (this.values().enabled !== wanted) {
      void vscode.window.showInformationMessage("codegen-lsp: the settings of this workspace say otherwise.");
    }
  }

  async toggleLanguage(): Promise<void> {
    const { language, languages } = this.values();
    if (language) {
      const settings = vscode.workspace.getConfiguration("codegen");
      await settings.update("disabled_languages", toggled(languages, language), vscode.ConfigurationTarget.Global);
    }
  }

  async toggleFile(): Promise<void> {
    const document = vscode.window.activeTextEditor?.document;
    if (document) {
      await this.memory.update(FILES, toggled(this.files(), keyOf(document)));
    }
  }

  private files(): string[] {
    return this.memory.get<string[]>(FILES, []);
  }
}

/** Of the whole notebook where it is a cell. */
function keyOf(document: vscode.TextDocument): string {
  const isCell = document.uri.scheme === "vscode-notebook-cell";
  return (isCell ? document.uri.with({ scheme: "file", fragment: "" }) : document.uri).toString();
}
