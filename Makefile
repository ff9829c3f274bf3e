# Everything a newcomer needs: `make demo` and `make test`. `make` alone explains the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
WORKERS ?= 2

# Without bytecode every process would compile its imports anew: seconds each.
unexport PYTHONDONTWRITEBYTECODE
# Another environment that happens to be active must not get in.
unexport PYTHONHOME
unexport PYTHONPATH

.DEFAULT_GOAL := help
.PHONY: help install demo up test check lint bench docs pictures lock clean
.DELETE_ON_ERROR:

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

install: $(STAMP) ## create .venv and install everything into it (Python 3.11 to 3.13; another one by PYTHON=...)
	@echo "Everything is installed in $(VENV)."

$(STAMP): requirements.txt pyproject.toml
	@command -v "$(PYTHON)" >/dev/null || { echo "There is no $(PYTHON) on this machine. Install Python 3.11 to 3.13, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { echo "$(PYTHON) is $$("$(PYTHON)" -V 2>&1); Python 3.11 to 3.13 is needed. Name another one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) lacks the module venv. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Installing into $(VENV); this takes one to three minutes and happens once."
	@"$(PYTHON)" -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $(STAMP)

demo: $(STAMP) ## build the demo world, run it on real Airflow, show it; until Ctrl-C, or to its end with ONCE=1
	@exec $(BIN)/reku demo $(if $(filter-out 0 no,$(ONCE)),--once)

up: $(STAMP) ## run the embedded set-up with your own configuration until Ctrl-C
	@exec $(BIN)/reku up

test: $(STAMP) ## everything that guards the project: lint and all tests, on two cores (WORKERS=... for another number)
	@.ci/debian-package dovecot dovecot-imapd
	@.ci/debian-package spamassassin spamassassin
	@.ci/beside lint $(MAKE) --no-print-directory lint -- $(BIN)/python -m pytest -n $(WORKERS)

check: $(STAMP) ## for daily work: lint, all quick tests, and those of what differs from the branch main
	@.ci/beside lint $(MAKE) --no-print-directory lint -- $(BIN)/python -m pytest -n $(WORKERS) --touched

lint: $(STAMP) ## style, format, types, and the arrows between the rooms
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(STAMP) ## the benchmarks, each stage against its limit; never part of the tests
	@exec $(BIN)/reku bench

docs: $(STAMP) ## write the generated pages of docs/ anew, from contracts, commands, occasions and settings
	@$(BIN)/python -m reku.records.handbook docs/file-contracts.md
	@$(BIN)/python -m reku.cli.handbook docs/commands.md
	@$(BIN)/python -m reku.orchestration.handbook docs
	@$(BIN)/python -m reku_testing.returned_mails docs/responses.md

pictures: $(STAMP) ## make the pictures of docs/pictures anew, from pages in Chromium
	@PICTURES_TO=docs/pictures $(BIN)/python -m pytest -q tests/orchestration/test_journeys.py

lock: ## make requirements.txt anew from requirements.in (newer versions with UPGRADE=1)
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT \
		&& "$(PYTHON)" -m venv "$$folder" \
		&& "$$folder/bin/pip" install --quiet --disable-pip-version-check uv \
		&& "$$folder/bin/uv" pip compile --quiet --universal --python-version 3.11 \
			--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
			$(if $(UPGRADE),--upgrade) requirements.in -o requirements.txt

clean: ## remove .venv, caches and build folders; what the set-up has stored (var/) stays
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache include/*.egg-info
	@find . -name __pycache__ -type d -not -path './var/*' -prune -exec rm -rf {} +
