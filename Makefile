PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help install app demo test e2e check bench

help: ## Show these targets
	@sed -n 's/^\([a-z0-9]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "make %-8s  %s\n", $$1, $$2 }'

install: $(VENV)/.installed-dev ## Create .venv with everything that development needs

app: $(VENV)/.installed ## Open the dashboard, on this machine only
	$(BIN)/kd app

demo: $(VENV)/.installed ## Distil a small student from 200 headlines with labels and 4,000 sentences without
	$(BIN)/kd distill --train-texts 200 --transfer-texts 4000

test: $(VENV)/.installed-dev ## Run the unit tests, and the pages without a browser, on all cores
	$(BIN)/python -m pytest -n auto --dist worksteal --durations=50 tests/unit tests/ui

# What a browser has waited for three minutes in vain is tried once more, and told at the end: among some
# thousands of visits one stood still, and the page was never seen to do so again.
e2e: $(VENV)/.installed-dev ## Run the dashboard in a real browser (Chromium)
	$(BIN)/python -m pytest --durations=50 --reruns 1 --only-rerun "waiting for locator" tests/e2e

check: $(VENV)/.installed-dev ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.installed-dev ## Print what training a small student takes beside a bare loop
	home=$$(mktemp -d); trap 'rm -rf $$home' EXIT; KD_HOME=$$home OMP_NUM_THREADS=1 \
		$(BIN)/python -m tests.bench.bench_training --untaught --students tiny --who bare kd-same kd-once \
		--steps 60 --rounds 1

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -e .
	@touch $@

# What development needs includes what the demo needs.
$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -e '.[dev]'
	@touch $(VENV)/.installed $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "KD Studio needs Python 3.11 or later, and $(PYTHON) is not; try make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
