# The commands of everyday work; `make help` lists them. Set-up happens by itself, once, and again when setup.cfg changes.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

# Python 3.11 or 3.12 (Trac 1.6 needs modules that 3.13 no longer has), if possible the system's: as root the
# program changes to an unprivileged user, who cannot run a Python that lives in root's home.
# `make setup PYTHON=/path/to/python3.12` chooses another one.
CANDIDATES := /usr/bin/python3 /usr/bin/python3.11 /usr/bin/python3.12 /usr/local/bin/python3 python3.11 python3.12 python3
suitable = $(shell for p in $(CANDIDATES); do $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13)) $1' \
	>/dev/null 2>&1 && { command -v $$p; break; }; done)
PYTHON := $(or $(call suitable,or not __import__("ensurepip")),$(call suitable))

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
METADATA := setup.cfg pyproject.toml

# PIP_… in the environment (a mirror, a cache) keep their meaning.
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

ENV ?= ./var/trac
PYTEST ?= $(BIN)/python -m pytest
# Most tests wait for a server: three at a time keep two processors busy. A file stays together for its fixtures.
JOBS ?= 3
PARALLEL = -n $(JOBS) --dist loadfile
ARGS ?=
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= fastcgi answer-head answer-chunks request-body request-head target scgi-answer pairs send-file
# What freezing could break: forks, re-execution, plugins, files; the rest is the same code.
FROZEN_TESTS := tests/test_executable.py tests/faults tests/trac tests/browser tests/application/test_behind_lighttpd.py

.PHONY: help setup run test test-all check format docs freeze bench soak fuzz screenshot clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(STAMPS)/program ## make .venv with the program in it: .venv/bin/fcgibox

run: $(STAMPS)/program ## a working Trac on http://127.0.0.1:8000/ (its data is in var/trac; ENV=DIR for another place)
	@mkdir -p $(dir $(ENV))
	exec $(BIN)/fcgibox recipe trac --env $(ENV) $(ARGS)

test: $(STAMPS)/test ## all quick tests, after installing what they need (ARGS='-k name' for some of them)
	@build/install-packages test
	$(PYTEST) $(PARALLEL) -m 'not slow' $(ARGS)

test-all: $(STAMPS)/test $(STAMPS)/freeze ## the slow tests too, and those of the frozen program
	@build/install-packages test
	@build/install-packages slow
	$(PYTEST) $(PARALLEL) $(ARGS)
	$(MAKE) freeze
	FCGIBOX_PROGRAM=dist/fcgibox $(PYTEST) $(PARALLEL) $(FROZEN_TESTS)

check: $(STAMPS)/dev ## format, lint, types
	$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --diff .; exit 1; }
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy

format: $(STAMPS)/dev docs ## rewrite the sources in our format, and docs/options.md
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(STAMPS)/program ## make docs/options.md from the tables of options and the tests that hold them
	$(BIN)/python build/options_page.py

freeze: $(STAMPS)/freeze ## one executable, dist/fcgibox, and a smoke test of it
	@PYTHON=$(BIN)/python build/install-packages freeze
	PYTHONHASHSEED=0 $(BIN)/python -m PyInstaller --noconfirm --log-level WARN \
		--distpath dist --workpath .cache/freeze build/fcgibox.spec
	$(BIN)/python build/check_frozen.py dist/fcgibox

bench: $(STAMPS)/test ## measure against lighttpd, nginx and Caddy on this machine; prints a Markdown table
	@build/install-packages bench
	$(BIN)/python -m tests.bench $(ARGS)

soak: $(STAMPS)/test ## 200,000 requests in 10 minutes with kills, reloads and clients that leave (ARGS='--seed 2')
	$(BIN)/python -m tests.soak $(ARGS)

fuzz: $(STAMPS)/test $(STAMPS)/fuzz ## a minute of atheris for each reader of strangers' octets (FUZZ_SECONDS=600 for more)
	for target in $(FUZZ_TARGETS); do \
		$(BIN)/python -m tests.fuzz $$target -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=.cache/ -print_final_stats=1 || exit 1; done

screenshot: $(STAMPS)/test ## take docs/front-page.png again
	@build/install-packages test
	$(BIN)/python -m tests.browser.screenshot docs/front-page.png

clean: ## remove everything that make made, except var/ (your data)
	rm -rf $(VENV) .cache dist fcgibox.egg-info
	find appliance recipes tests build -name __pycache__ -prune -exec rm -rf {} +

# Each step leaves a stamp; a change of the metadata runs them again.
$(STAMPS)/venv:
	@[ -n "$(PYTHON)" ] || { echo "fcgibox needs Python 3.11 or 3.12, and neither is in PATH." \
		"On Debian 12: apt-get install python3 python3-venv. Elsewhere: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { v=$$("$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
		echo "$(PYTHON) cannot make virtual environments. On Debian: apt-get install python$$v-venv" >&2; exit 1; }
	"$(PYTHON)" -m venv --clear $(VENV)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/program: $(STAMPS)/venv $(METADATA)
	$(PIP) install --editable .
	@touch $@

# One rule for the extras: $(STAMPS)/test, $(STAMPS)/dev, $(STAMPS)/freeze, $(STAMPS)/fuzz.
$(STAMPS)/test $(STAMPS)/freeze $(STAMPS)/fuzz: $(STAMPS)/%: $(STAMPS)/program $(METADATA)
	$(PIP) install --editable '.[$*]'
	@touch $@

# The type checker reads the tests as well, so it needs what they need.
$(STAMPS)/dev: $(STAMPS)/test $(METADATA)
	$(PIP) install --editable '.[dev,freeze]'
	@touch $@
