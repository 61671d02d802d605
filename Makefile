# Two commands: `make demo` shows the product, `make test` runs the whole gate. Both set up what they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint bench bench-typing bench-workspace bench-context bench-gpu train-smoke wheel clean

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed: make PYTHON=python3.12 …"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Setting up $(VENV) (a minute or two) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e . \
		build hatchling mypy pytest pytest-asyncio pytest-timeout ruff
	@touch $@

demo: $(READY)
	@$(BIN)/codegen-lsp demo

test: $(READY)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest

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
