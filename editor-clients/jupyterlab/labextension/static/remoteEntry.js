// What JupyterLab loads first: a module federation container, whose one module is plugin.js beside this file.
(() => {
  const here = document.currentScript.src;
  let shared = {};

  /** JupyterLab's own copy of a package: a token is the same only there. */
  async function core(name) {
    const copies = Object.values(shared[name] ?? {});
    const factory = await (copies.find(({ from }) => from?.startsWith("@jupyterlab/application")) ?? copies[0]).get();
    return factory();
  }

  (window._JUPYTERLAB ??= {})["codegen-lsp"] = {
    init(scope) {
      shared = scope;
    },
    async get() {
      const { ICompletionProviderManager } = await core("@jupyterlab/completer");
      const { pluginFor } = await import(new URL("plugin.js", here));
      const module = { __esModule: true, default: pluginFor(ICompletionProviderManager) };
      return () => module;
    },
  };
})();
