// What the status bar says.

/**
 * @typedef {object} Server What is known of the server.
 * @property {"missing" | "starting" | "stopped" | "running"} process
 * @property {string} [state] Of the model, as `codegen.status` says: idle, loading, ready or failed.
 * @property {string | null} [model]
 * @property {string | null} [error]
 * @property {number} waiting Requests that are not answered yet, and should be.
 */

/**
 * @typedef {object} Switches What is switched on where the cursor is.
 * @property {boolean} enabled
 * @property {readonly string[]} languages That are off.
 * @property {string} [language] Of the file that is shown.
 * @property {boolean} isFileOff
 */

/** @typedef {{ kind: "loading" | "ready" | "thinking" | "off" | "error", text: string, tooltip: string }} Item */

const NAME = "codegen-lsp";
const ICONS = { loading: "sync~spin", ready: "sparkle", thinking: "loading~spin", off: "circle-slash", error: "warning" };

/**
 * Icon, name and one sentence.
 *
 * @param {Server} server
 * @param {Switches} switches
 * @returns {Item}
 */
export function statusItem(server, switches) {
  const [kind, tooltip] = said(server, switches);
  return { kind, text: `$(${ICONS[kind]}) ${NAME}`, tooltip };
}

/**
 * Why nothing is offered in the file that is shown; undefined when something may be.
 *
 * @param {Switches} switches
 * @returns {string | undefined}
 */
export function whyOff(switches) {
  if (!switches.enabled) {
    return "Switched off";
  }
  if (switches.language && switches.languages.includes(switches.language)) {
    return `Switched off for ${switches.language}`;
  }
  return switches.isFileOff ? "Switched off for this file" : undefined;
}

/**
 * @param {Server} server
 * @param {Switches} switches
 * @returns {[Item["kind"], string]}
 */
function said(server, switches) {
  if (server.process === "missing") {
    return ["error", "The server was not found. Click for what to do"];
  }
  if (server.process === "stopped") {
    return ["error", "The server is not running. Click for what to do"];
  }
  const off = whyOff(switches);
  if (off) {
    return ["off", off];
  }
  if (server.process === "starting") {
    return ["loading", "The server is starting"];
  }
  return ofModel(server);
}

/**
 * @param {Server} server
 * @returns {[Item["kind"], string]}
 */
function ofModel(server) {
  if (server.state === "failed") {
    return ["error", server.error || "The model could not be loaded"];
  }
  if (server.state === "loading") {
    return ["loading", "The model is loading"];
  }
  if (server.waiting > 0) {
    return ["thinking", `Thinking${server.model ? ` (${server.model})` : ""}`];
  }
  return ["ready", server.model ? `Ready (${server.model})` : "Ready: the model is loaded when it is first needed"];
}
