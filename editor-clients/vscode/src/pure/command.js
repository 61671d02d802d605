// Which command starts the server. Plain JavaScript, checked by tsc, so that node runs its tests with nothing installed.
import path from "node:path";

export const INSTALL = 'Install it with "pip install ." in the clone of codegen-lsp, or set its full path in the settings.';

/**
 * @typedef {object} Place What is known of where a server could be.
 * @property {readonly string[]} setting The user's own command and arguments; empty when there is none.
 * @property {string} extension Folder of this extension.
 * @property {readonly string[]} folders Of the workspace.
 * @property {boolean} isTrusted Whether the user trusts the workspace: what it brings along is a stranger's program.
 * @property {string} searchPath The variable PATH.
 * @property {string} platform As node names it ("linux", "win32").
 */

/** @typedef {{ command: string, args: string[], source: string }} Command */

/**
 * The first of: the user's setting, the server in the extension's own folder, a trusted workspace's virtual
 * environment, PATH. The setting is taken as it is; everything else is a full path of something that can be run.
 * Undefined when there is none.
 *
 * @param {Place} place
 * @param {(file: string) => boolean} isExecutable
 * @returns {Command | undefined}
 */
export function findServer(place, isExecutable) {
  const [command, ...args] = place.setting;
  if (command) {
    return { command, args, source: "settings" };
  }
  for (const [file, source] of candidates(place)) {
    if (isExecutable(file)) {
      return { command: file, args: ["serve"], source };
    }
  }
  return undefined;
}

/**
 * @param {Place} place
 * @returns {Generator<[string, string]>}
 */
function* candidates(place) {
  const on = place.platform === "win32" ? path.win32 : path.posix;
  const [bin, name] = place.platform === "win32" ? ["Scripts", "codegen-lsp.exe"] : ["bin", "codegen-lsp"];
  yield [on.join(place.extension, "server", bin, name), "extension"];
  for (const folder of place.isTrusted ? place.folders : []) {
    yield [on.join(folder, ".venv", bin, name), "workspace"];
  }
  for (const folder of place.searchPath.split(on.delimiter)) {
    // A relative entry would be looked up in the folder that is open, which is a stranger's.
    if (on.isAbsolute(folder)) {
      yield [on.join(folder, name), "PATH"];
    }
  }
}
