# `make demo` compresses the bundled data set, `make test` checks everything in PROCESSES at once, with the linters,
# `make test-fast` most of it, for the loop while working. All install into .venv first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT := demo-output
PROCESSES ?= 2

.PHONY: demo test test-fast bench bench-device experiments papers docs lint format clean

demo: $(VENV)/.installed
	mkdir -p $(OUT)
	$(BIN)/quests-jax compress bundled:silicon --size 0.1 --overwrite \
		-o $(OUT)/silicon_10.xyz -o $(OUT)/silicon_10.json

test: $(VENV)/.installed-test
	$(BIN)/pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder

test-fast: $(VENV)/.installed-test
	$(BIN)/pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder -m "not slow"

# PEER_PYTHON names an interpreter that has QUESTS.
bench: $(VENV)/.installed
	$(BIN)/python experiments/benchmarks/run.py $(if $(PEER_PYTHON),--peer-python $(PEER_PYTHON))

# The main programs on the GPU or TPU that JAX finds, in less than eight minutes; accelerator.md has those of an H200.
bench-device: $(VENV)/.installed
	$(BIN)/python experiments/benchmarks/device.py

# Every experiment on tiny data, into experiments/*/smoke/. Their READMEs have the commands of the real runs.
experiments: $(VENV)/.installed
	@set -e; for run in experiments/*/run.py; do \
		echo "== $$run"; $(BIN)/python $$run --smoke; \
	done

# Numbers, tables and figures of the pages in papers/, from experiments/*/results.json.
papers: $(VENV)/.installed
	$(BIN)/python papers/build.py

# Pages for a browser, in docs-output/: index.html opens from there, search needs `python -m http.server`.
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --config-file papers/docs/mkdocs.yml

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(OUT) docs-output build dist .pytest_cache .ruff_cache .hypothesis .jax_cache

# The stamps keep pip from running again until pyproject.toml changes.
$(VENV)/.installed: pyproject.toml | $(BIN)/pip
	@echo "installing quests_jax into $(VENV), which takes a few minutes the first time"
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-test: pyproject.toml | $(BIN)/pip
	@echo "installing quests_jax and its test tools into $(VENV), which takes a few minutes the first time"
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: pyproject.toml | $(BIN)/pip
	@echo "installing quests_jax and its documentation tools into $(VENV), which takes a few minutes the first time"
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@ $(VENV)/.installed

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo \
		"error: quests_jax needs Python 3.11 or newer, not $$($(PYTHON) --version 2>&1);" \
		"run make again with PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
