PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help install app demo test test-all check bench mutants

help: ## Show these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "make %-9s  %s\n", $$1, $$2 }'

install: $(VENV)/.installed-dev ## Create .venv with everything that development needs

app: $(VENV)/.installed ## Open the dashboard, on this machine only
	$(BIN)/kd app

demo: $(VENV)/.installed ## Distil a small student from 200 headlines with labels and 4,000 sentences without
	$(BIN)/kd distill --train-texts 200 --transfer-texts 4000

PYTEST := $(BIN)/python -m pytest
PARALLEL := -n auto --dist worksteal

test: $(VENV)/.installed-dev ## Run the fast tests of the engine and the pages
	$(PYTEST) $(PARALLEL) -m "not slow" --durations=20 tests/unit tests/ui

test-all: $(VENV)/.installed-dev ## Run all tests, also the slow ones and those in a real browser (Chromium)
	$(PYTEST) $(PARALLEL) --durations=50 tests/unit tests/ui
	$(PYTEST) --durations=50 tests/e2e

check: $(VENV)/.installed-dev ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

mutants: $(VENV)/.installed-dev ## Measure how many of 152 seeded faults the fast unit tests detect (about an hour)
	$(PYTEST) $(PARALLEL) -m "not slow" --cov=kd_core --cov-context=test --cov-report= tests/unit
	$(BIN)/python -m tests.bench.bench_mutants --out mutants.json

bench: $(VENV)/.installed-dev ## Compare the training time of a small student with a plain loop
	home=$$(mktemp -d); trap 'rm -rf $$home' EXIT; KD_HOME=$$home OMP_NUM_THREADS=1 \
		$(BIN)/python -m tests.bench.bench_training --untaught --students tiny --who bare kd-same kd-once \
		--steps 60 --rounds 1

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -e '.[dev]'
	@touch $(VENV)/.installed $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "KD Studio needs Python 3.11 or later, and $(PYTHON) is not; try make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
