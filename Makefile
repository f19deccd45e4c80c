# `make demo` and `make test` set everything up by themselves: a .venv beside this file, with pinned packages.
#
#   PYTHON=/path/to/python3   the interpreter to build .venv with (default: the newest fit one on PATH)
#   JOBS=4                    test processes (default 2)
#   ARGS="-k clip"            more arguments for pytest

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
JOBS ?= 2

# Kernels that run beside other test processes are fastest with one thread each. Bytecode is written even where
# the environment says otherwise: every process that a test starts would compile the package again.
TEST_WITH := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=

.DEFAULT_GOAL := help
.PHONY: help demo test check bench clean setup

help: ## show these lines
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' Makefile | while IFS='	' read -r target text; do \
	  printf '  make %-7s %s\n' "$$target" "$$text"; done

demo: $(READY) ## train clip and clip + simclr on the embedded pictures, compare them, write a page
	@$(BIN)/sightword demo
	@echo "The page: $(CURDIR)/runs/demo/report.html"

test: $(READY) ## run the tests
	@$(TEST_WITH) $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(READY) ## lint, formatting, types, and which room may import which
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(READY) ## run every benchmark; results are added to bench/results/
	@for file in bench/[a-z]*.py; do \
	  echo "== $$file"; $(BIN)/python "$$file" --out "bench/results/$$(basename "$$file" .py).jsonl" || exit 1; \
	done

setup: $(READY) ## only make .venv and install

clean: ## remove .venv, caches and build leftovers; runs/ stays
	rm -rf $(VENV) build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

# open_clip is a peer that some tests compare with, nothing else: they read its tokenizer and its networks
# file by file. Its own requirements are left out, for its torchvision would want another build of torch.
# Without it those tests skip and say so.
$(READY): pyproject.toml constraints.txt setup.py $(wildcard src/sightword/*/native/*.[ch])
	@$(if $(PYTHON),set -- $(PYTHON),set -- python3.13 python3.12 python3.11 python3); \
	for found do \
	  "$$found" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; found=; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "sightword needs Python 3.11 or newer, and none of these is: $$*." >&2; \
	  echo "Install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	echo "Setting up $(VENV) with $$($$found --version); the first time takes some minutes."; \
	$(BIN)/python -m pip --version >/dev/null 2>&1 || "$$found" -m venv $(VENV) || { \
	  echo "$$found cannot make a virtual environment (on Debian: apt install python3-venv)." >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps \
	  open_clip_torch || echo "open_clip_torch could not be installed; the tests that compare with it will skip."
	@touch $@
