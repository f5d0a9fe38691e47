# Needs Python 3.10-3.13, pip and make, nothing else. Every target makes the virtual environment it needs.
#
#   make PYTHON=python3.12 test    another interpreter, for a new environment
#   make test ARGS='-k journal'    arguments for pytest
#   make test JOBS=1               one file of tests at a time
#   make demo ARGS=--once          arguments for the demo

# Where it is set, as in many images, each of the thousands of processes would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?=
VENV ?= .venv
ARGS ?=
# Files of tests that run at a time, each process with a Redis and a Sockudo of its own. Tests wait more than they
# compute, so there are more processes than cores.
JOBS ?= 8
# Files in the order of tests/support/order.py.
PYTEST := -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# One environment per purpose beside the developer's own.
OLDEST := .venv-oldest
VERSIONS := 3.10 3.11 3.12 3.13
# What the tests need there: no linters.
EXTRAS := cli,dashboard,demo,django,eventlet,fastapi,flask,gevent,metrics,orjson,otel,sqlalchemy,test
# What runs on every version and on the lowest dependencies: all but the runs with kills, those for depth, and those of
# type checkers, which are the development environment's.
QUICK := -m "not long and not types and not acceptance"
PIP := -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help install format format-check lint types test test-long test-depth check conformance mutants demo docs bench faults soak stack wheel test-oldest test-all clean

help: ## Show this list
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  %-14s %s\n", $$1, $$2 }'

install: $(INSTALLED) ## Make the environment (every target below does it by itself)

# README.md is part of the package's metadata, pyproject.toml the rest.
$(INSTALLED): pyproject.toml
	@test -x $(BIN)/python || scripts/make-venv $(VENV) "$$( [ -n '$(PYTHON)' ] && echo '$(PYTHON)' || scripts/find-python )"
	$(BIN)/python $(PIP) install --quiet --editable '.[dev]'
	@touch $@

format: $(INSTALLED) ## Format the code, mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

format-check: $(INSTALLED)
	$(BIN)/ruff format --check .

lint: $(INSTALLED) ## Check the code and the arrows between its rooms
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache

types: $(INSTALLED) ## Check the types (mypy --strict), and what users' type checkers say of programs
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -m types tests/unit/test_typing.py

test: $(INSTALLED) ## Run the tests, on whatever real parts can be had (it says which)
	$(BIN)/python $(PYTEST) -m "not long and not types" $(ARGS)

test-long: test-depth mutants faults wheel test-oldest ## Run what takes long: depth, planted bugs, kills, wheel, oldest versions

test-depth: $(INSTALLED) ## Run the tests that are marked `long`, and those with examples of Hypothesis with more of them
	$(BIN)/python $(PYTEST) -m "long or hypothesis" --hypothesis-profile deep $(ARGS)

check: format-check lint types test ## All that CI checks of every change

conformance: $(INSTALLED) ## Observe every server fact on the real and the embedded server; writes docs/server-facts.md
	$(BIN)/python -m tests.conformance $(ARGS)

mutants: $(INSTALLED) ## Plant known bugs, one by one, in a copy: a test must find each in time
	$(BIN)/python -m scripts.mutants $(ARGS)

demo: $(INSTALLED) ## Flight departures through the whole product; ARGS=--once to check and exit
	$(BIN)/sockudo-publisher demo $(ARGS)

# mkdocs-material prints an advertisement for its successor otherwise.
docs: $(INSTALLED) ## Build the site from docs/ into site/; a dead link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs --quiet build --strict $(ARGS)

bench: $(INSTALLED) ## Measure it beside its peers; writes benchmarks/results.md
	$(BIN)/python -m benchmarks $(ARGS)

faults: $(INSTALLED) ## Kill, cut, freeze and spoil everything, and print the results; ARGS=--short in CI
	$(BIN)/python -m tests.faults $(ARGS)

MINUTES ?= 10
soak: $(INSTALLED) ## Everything at random for MINUTES (10), one table
	$(BIN)/python -m tests.faults --minutes $(MINUTES) $(ARGS)

stack: $(INSTALLED) ## The parts of docker-compose.yml without Docker; ARGS=--check to check and exit
	$(BIN)/python -m scripts.run_stack $(ARGS)

wheel: $(INSTALLED) ## Build dist/*.whl and dist/*.tar.gz
	$(BIN)/python -m build --outdir dist

# pip cannot resolve to the lowest versions, uv can; it is installed from its package, into this environment alone.
test-oldest: ## Run the tests on the oldest Python here and the lowest versions declared
	scripts/make-venv $(OLDEST) "$$(scripts/find-python --oldest)"
	$(OLDEST)/bin/python $(PIP) install --quiet uv
	$(OLDEST)/bin/uv pip install --quiet --python $(OLDEST)/bin/python --resolution lowest-direct --editable '.[$(EXTRAS)]'
	$(OLDEST)/bin/python $(PIP) list
	$(OLDEST)/bin/python $(PYTEST) $(QUICK) $(ARGS)

test-all: ## Run the tests on each Python 3.10-3.13 that is here
	@absent=; for version in $(VERSIONS); do \
	    if python=$$(scripts/find-python $$version 2>/dev/null); then \
	        echo "== Python $$version: $$python" && \
	        scripts/make-venv .venv-$$version "$$python" && \
	        .venv-$$version/bin/python $(PIP) install --quiet --editable '.[$(EXTRAS)]' && \
	        .venv-$$version/bin/python $(PYTEST) $(QUICK) $(ARGS) || exit 1; \
	    else absent="$$absent $$version"; fi; \
	done; \
	if [ -n "$$absent" ]; then echo "absent here, not tested:$$absent"; fi

clean: ## Remove environments, caches and builds
	rm -rf .venv .venv-* .stack dist build site *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
