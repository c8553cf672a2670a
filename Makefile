# `make demo` trains a network on embedded data, `make test` runs the quick tests.  Both make .venv first.

# Another interpreter: make PYTHON=/path/to/python3.12 demo
PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin

# The embedded data set, a few minutes' worth of training at most; no download.
DEMO_FLAGS ?= --dataset digits --augment crop --padding valid --batch-size 32 --epochs 5 --overwrite
# In parallel; a test process that dies ends the run with a message.
PARALLEL := -n auto --dist loadfile --max-worker-restart=0
PYTEST_FLAGS ?=

SOURCES := spectral_keras models tuning figures benchmarks tests docs

# Where `make docs` writes the site.
SITE := build/docs

.PHONY: demo test test-all faults lint format docs docs-check release-check clean
.DEFAULT_GOAL := help

.PHONY: help
help:
	@echo "make demo    make .venv, train deep_spectral on the embedded digits"
	@echo "make test    make .venv, run the quick tests (PYTEST_FLAGS=\"-k pool\" for some)"
	@echo "make test-all  all tests, as CI does: also those that start commands and train"
	@echo "make faults  kill, fill the disk, flip bits: the long form of tests/faults (docs/faults.md)"
	@echo "make docs    build the documentation site; make docs-check opens each page in Chromium"
	@echo "make release-check  build wheel and sdist, try them in fresh environments"
	@echo "make lint    check style, formatting and types"
	@echo "make format  format the code"
	@echo "make clean   remove .venv, caches and build files; runs/ stays"
	@echo "Python 3.11 or newer is looked for; PYTHON=/path/to/python chooses one."

demo: $(VENV)/.installed
	$(BIN)/python -m models.deep_spectral $(DEMO_FLAGS)

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow" $(PYTEST_FLAGS)

test-all: $(VENV)/.installed-test
	$(BIN)/python -m pytest $(PARALLEL) $(PYTEST_FLAGS)

faults: $(VENV)/.installed-test
	$(BIN)/python -m pytest tests/faults --faults $(PYTEST_FLAGS)

# Without a network; every warning is an error.
docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx -W --keep-going -b html -d build/doctrees docs $(SITE)

docs-check: $(VENV)/.installed-docs
	$(BIN)/python -m pytest tests/site --site $(SITE) $(PYTEST_FLAGS)

release-check: $(VENV)/.installed-release
	$(BIN)/python .ci/release.py

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The stamps are older than setup.cfg when a dependency has changed: pip then adds what is missing.
$(VENV)/.installed: setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[tensorflow]'
	@touch $@

$(VENV)/.installed-test: setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[tensorflow,test,export]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: $(VENV)/.installed-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	@touch $@

$(VENV)/.installed-release: setup.cfg | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[release]'
	@touch $@

$(BIN)/python:
	@for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
	    if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        echo "making $(VENV) with $$python"; exec "$$python" -m venv $(VENV); \
	    fi; \
	done; \
	echo "make: Python 3.11 or newer with venv is needed; PYTHON=/path/to/python names one" >&2; exit 1

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
	rm -rf docs/api docs/examples docs/zoo
	find $(wildcard $(SOURCES)) -name __pycache__ -type d -prune -exec rm -rf {} +
