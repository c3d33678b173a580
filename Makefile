# Two commands: `make serve` to read the book, `make test` to prove it.
PYTHON ?= python3
BIN := .venv/bin
export PYTHONPATH := .
export NO_MKDOCS_2_WARNING := 1
# Tests and labs already fill the cores; more threads would only wait.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*##/ {printf "make %-6s %s\n", $$1, $$2}' Makefile

serve: .venv/ready ## build the book and serve it on http://127.0.0.1:8000
	$(BIN)/python -m mkdocs serve --dev-addr 127.0.0.1:8000

test: .venv/ready ## run every test, the built site in a browser included
	$(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report=term

build: .venv/ready ## build the site into site/; any warning is an error
	$(BIN)/python -m mkdocs build --strict

bench: .venv/ready ## train the copy task from three seeds: steps and seconds
	$(BIN)/python benchmarks/copy_task.py

speed: build ## time the first output of Python in the page, in Chromium
	$(BIN)/python benchmarks/in_the_page.py

lint: .venv/ready ## check style, formatting and types
	$(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/mypy

lock: ## resolve the newest versions that pyproject.toml allows
	rm -rf .cache/lock && $(PYTHON) -m venv .cache/lock
	.cache/lock/bin/python hooks/lock.py > requirements.lock

clean: ## remove what the other targets made
	rm -rf .venv .cache site .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage

# Reinstalled only when the lock changes.
.venv/ready: requirements.lock
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	|| { echo "error: needs Python 3.11 to 3.13 with venv: install it (Debian: apt-get install python3-venv) or run 'make PYTHON=/path/to/python3.12'" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@echo "installing requirements.lock into .venv (a few minutes, once)"
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	@touch $@

.PHONY: help serve test build bench speed lint lock clean
