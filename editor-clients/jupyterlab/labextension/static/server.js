// The language server: a websocket that Jupyter relays to a process of its own, and JSON-RPC over it.

const STEADY_MS = 10_000;
const MOST_WAIT_MS = 60_000;

/**
 * @typedef {object} Options
 * @property {() => WebSocket} open
 * @property {() => object} initialize Its params.
 * @property {() => void} onReady The first that a new server hears after `initialized`.
 * @property {(message: string, type?: number) => void} onProblem With LSP's MessageType.
 */

export class Server {
  /** @type {Promise<void> | undefined} */
  #ready;
  /** @type {WebSocket | undefined} */
  #socket;
  /** @type {Map<number, { resolve: (result: any) => void, reject: (error: Error) => void }>} */
  #asked = new Map();
  #number = 0;
  #began = 0;
  #waitMs = 0;
  #isReady = false;

  /** @param {Options} options */
  constructor(options) {
    this.options = options;
  }

  get isReady() {
    return this.#isReady;
  }

  /** Have a server that is initialized: this one, or a new one after the last has ended. Rejects when there is none. */
  ready() {
    if (!this.#ready && Date.now() < this.#began + this.#waitMs) {
      return Promise.reject(new Error("the server has just failed"));
    }
    return (this.#ready ??= this.#connect());
  }

  async request(method, params) {
    const id = (this.#number += 1);
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      this.#send({ id, method, params });
    });
  }

  notify(method, params) {
    this.#send({ method, params });
  }

  /** End the server; the next `ready` starts another one. */
  close() {
    this.#socket?.close();
  }

  async #connect() {
    this.#began = Date.now();
    const socket = (this.#socket = this.options.open());
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    const opened = new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onclose = ({ reason, wasClean }) => {
        this.#ended(socket, reason, wasClean);
        reject(new Error(reason));
      };
    });
    await opened;
    await this.request("initialize", this.options.initialize());
    this.notify("initialized", {});
    this.#isReady = true;
    this.options.onReady();
  }

  /** One that ends soon after its start is not started again at once. */
  #ended(socket, reason, wasClean) {
    if (socket !== this.#socket) {
      return;
    }
    const isSoon = Date.now() < this.#began + STEADY_MS;
    this.#waitMs = isSoon && reason ? Math.min(MOST_WAIT_MS, 2 * this.#waitMs || 2_000) : 0;
    this.#socket = this.#ready = undefined;
    this.#isReady = false;
    for (const { reject } of this.#asked.values()) {
      reject(new Error("the server has ended"));
    }
    this.#asked.clear();
    if (reason || !wasClean) {
      this.options.onProblem(reason || "Jupyter's server does not answer");
    }
  }

  #receive({ id, method, params, result, error }) {
    if (method === "window/showMessage") {
      this.options.onProblem(params.message, params.type);
    } else if (method && id !== undefined) {
      this.#send({ id, error: { code: -32601, message: "not supported" } });
    } else if (!method) {
      const asked = this.#asked.get(id);
      this.#asked.delete(id);
      error ? asked?.reject(new Error(error.message)) : asked?.resolve(result);
    }
  }

  #send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) {
      throw new Error("the server has ended");
    }
    this.#socket.send(JSON.stringify({ jsonrpc: "2.0", ...message }));
  }
}
