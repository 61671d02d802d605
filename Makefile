# Two commands: `make demo` shows the product, `make test` runs the whole gate. Both set up what they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo recording test test-editors test-hook hook-story lint bench bench-typing bench-workspace bench-context bench-implement bench-gpu train-smoke wheel clean

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed: make PYTHON=python3.12 …"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Setting up $(VENV) (a minute or two) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e . \
		build hatchling mypy pre-commit pytest pytest-asyncio pytest-timeout ruff
	@touch $@

demo: $(READY)
	@$(BIN)/codegen-lsp demo

test: $(READY)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest

EDITORS ?= vscode neovim emacs vim helix kate jupyterlab sublime api interop

# The clients in the real editors that are here (editor-clients/README.md says how to get others); those that are absent are named and skipped.
test-editors: $(READY)
	@CODEGEN_LSP_EDITORS=1 $(BIN)/python -m pytest -rs $(addprefix tests/test_,$(addsuffix .py,$(EDITORS)))

# The demo recording and the pictures of VS Code's manual, which says what it needs (editor-clients/vscode/README.md).
recording: $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check pillow
	@$(BIN)/python -m tests.recording

# The hook as a user gets it: all that it needs is installed by the real pre-commit, then tried without a network.
test-hook: $(READY)
	@CODEGEN_LSP_HOOK=install $(BIN)/python -m pytest tests/test_hook.py tests/test_hook_faults.py tests/test_pre_commit.py

# What a user sees: a fresh repository with the hook, a commit with stubs, the diff, the second commit.
hook-story: $(READY)
	@$(BIN)/python tests/hook_story.py

lint: $(READY)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@$(BIN)/mypy

# Typing through the real server, and our engine beside others on the same weights, each in turn (ARGS: see --help).
bench: $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt llama-cpp-python gguf ctranslate2 matplotlib
	@$(BIN)/python benchmarks/typing_trace.py $(ARGS)

# The same without the others: nothing to install.
bench-typing: $(READY)
	@$(BIN)/python benchmarks/typing_trace.py --peers "" $(ARGS)

# The index on ten thousand files, and what other files give in held-out places (the second needs the shared folders).
bench-workspace: $(READY)
	@$(BIN)/python benchmarks/workspace.py $(ARGS)

bench-context: $(READY)
	@$(BIN)/python benchmarks/context.py $(ARGS)

# What "verified" is worth: right and subtly wrong bodies, and a model's own, against hidden tests (needs the shared folder).
bench-implement: $(READY)
	@$(BIN)/python benchmarks/implement.py $(ARGS)

# The engine on a GPU, with random weights in the shapes of larger models; on a CPU with a small one.
bench-gpu: $(READY)
	@$(BIN)/python benchmarks/gpu.py $(ARGS)

# Everything of a training run in a minute: exercises, tokenizer, training, export, evaluation. CORPUS=folder with *.jsonl.xz
train-smoke: $(READY)
	@$(BIN)/python -m codegen_lsp.training.full smoke --rehearse $(if $(CORPUS),--corpus $(CORPUS))

wheel: $(READY)
	@$(BIN)/python -m build --wheel --no-isolation

clean:
	rm -rf $(VENV) dist build runs
