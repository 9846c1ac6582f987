# `make run`: the whole workflow on the default configuration. `make test`: the tests. `make help`: the rest.
# Every target sets up .venv by itself when it is missing or when the requirements changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES ?= all
MAX_JOBS ?= 4
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run plan test test-all test-gpu lint format schema rulegraph cuda clean clean-results
.DELETE_ON_ERROR:

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.installed  ## raw books to report (ARGS="--configfile workflow/configs/NAME.yaml" for another experiment)
	$(BIN)/snakemake --cores $(CORES) --rerun-incomplete --quiet rules $(ARGS)

plan: $(VENV)/.installed  ## what `make run` would do and why, without doing it
	PYTHONPATH=scripts $(BIN)/snakemake --cores $(CORES) --dry-run --rerun-incomplete --logger plan $(ARGS)

test: $(VENV)/.installed-dev  ## the tests that CI runs
	$(BIN)/pytest -n 2

test-all: $(VENV)/.installed-dev  ## all tests, the slow ones too (the report's in a browser need Chromium)
	$(BIN)/pytest -n 2 -m "not gpu"

test-gpu: $(VENV)/.installed-dev  ## the tests that need an NVIDIA GPU
	$(BIN)/pytest -n 4 -m gpu tests/gpu

lint: $(VENV)/.installed-dev  ## ruff, snakefmt, types, snakemake --lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow/Snakefile workflow/rules
	$(BIN)/pyright
	$(BIN)/snakemake --lint

format: $(VENV)/.installed-dev  ## format Python and Snakemake code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow/Snakefile workflow/rules

schema: $(VENV)/.installed  ## regenerate workflow/schemas from the typed configuration
	$(BIN)/python scripts/write_schema.py

rulegraph: $(VENV)/.installed  ## redraw the rule graph of the README (needs graphviz, and a finished run to show all rules)
	$(BIN)/snakemake --rulegraph | tred | dot -Tsvg > workflow/report/rulegraph.svg

# FORCE_BUILD: compile instead of asking GitHub for a wheel of another torch. Each job takes about 4 GB of memory.
cuda: $(VENV)/.installed  ## optional: build the official mamba-ssm and causal-conv1d (needs nvcc, many minutes; MAX_JOBS=4)
	$(BIN)/python scripts/check_cuda_build.py
	$(BIN)/pip install --constraint requirements-cuda.txt ninja wheel einops
	$(BIN)/pip uninstall --yes mamba-ssm causal-conv1d
	MAX_JOBS=$(MAX_JOBS) CAUSAL_CONV1D_FORCE_BUILD=TRUE MAMBA_FORCE_BUILD=TRUE MAMBA_KEEP_CUDA_BUILD=TRUE \
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pip install --no-build-isolation --no-deps --no-cache-dir \
	--progress-bar on -r requirements-cuda.txt

clean-results:  ## delete everything generated in results/
	find results -mindepth 1 ! -name .gitignore -delete

clean: clean-results  ## delete results, caches and the virtual environment
	rm -rf .snakemake .pytest_cache .ruff_cache .hypothesis $(VENV)

$(VENV)/.installed: requirements.txt
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit(f"Python 3.11 or newer is needed, found {sys.version.split()[0]}; name another one: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --progress-bar on -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(BIN)/pip install --progress-bar on -r requirements-dev.txt
	@touch $@
