# make lab    a consumer-group lab on this machine (needs only Python 3.11 or later)
# make test   all tests; those on real Apache Kafka need Java and Maven, those with franz-go Go 1.26: skipped without
# make check  lint, format, types, import order
# make conformance  what can be seen of a broker from outside, on Rota's and on Apache Kafka, test by test
# make bench  Rota's broker beside Apache Kafka, figure by figure (20 minutes; ARGS=--quick for a first look)
# make bench-consumer  the consumer runtime beside bare loops and other frameworks (20 minutes; ARGS=--quick)
# make bench-monitor  a look at all groups beside Kafka's tool and kminion, rota exporter at rest, rebalances in rota top
# Every target sets up .venv first, once.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
PIP := $(BIN)/python -m pip --disable-pip-version-check

# The first interpreter that is 3.11 or later; override with `make lab PYTHON=/path/to/python`.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo "$$p" && break; done)

.PHONY: help lab test check conformance bench bench-consumer bench-monitor clean

help:
	@sed -n '1,8s/^# //p' Makefile

lab: $(STAMPS)/lab
	@$(BIN)/rota lab

# Half of the suite waits, for sessions to end and brokers to start: two files at a time take little more than half as long.
WORKERS ?= 2

test: $(STAMPS)/test
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

check: $(STAMPS)/check
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	@export PATH="$$PWD/$(BIN):$$PATH"; cd tests/go; if command -v go >/dev/null; then \
		echo "gofmt, go vet"; unformatted=$$("$$(go env GOROOT)/bin/gofmt" -l .); \
		test -z "$$unformatted" || { echo "gofmt would change tests/go: $$unformatted" >&2; exit 1; }; \
		go vet ./...; fi

# Without Java, Maven or Go this fails: half a comparison is none. ARGS='--json FILE' writes the table to a file.
conformance: $(STAMPS)/test
	CI=true $(BIN)/python -m pytest -p tests.conformance.report -q -r fE \
		tests/clients tests/broker tests/cli tests/conformance $(ARGS)

bench: $(STAMPS)/test
	$(BIN)/python -m bench $(ARGS)

bench-consumer: $(STAMPS)/test
	$(BIN)/python -m bench.consumer $(ARGS)

bench-monitor: $(STAMPS)/test
	$(BIN)/python -m bench.monitor $(ARGS)

clean:
	rm -rf $(VENV)

$(STAMPS)/venv:
	@test -n "$(PYTHON)" || { echo "Rota needs Python 3.11 or later, and no python3 here is that new." >&2; exit 1; }
	@echo "Making a virtual environment in $(VENV) with $$($(PYTHON) --version) …"
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@mkdir -p $(STAMPS)
	@touch $@

$(STAMPS)/lab: $(STAMPS)/venv pyproject.toml $(shell find src -name '*.py')
	@echo "Installing Rota …"
	@if test -e $(STAMPS)/test; then true; else $(PIP) install --quiet .; fi
	@touch $@

$(STAMPS)/pip: $(STAMPS)/venv
	@echo "Updating pip (dependency groups need 25.1) …"
	@$(PIP) install --quiet --upgrade 'pip>=25.1'
	@touch $@

$(STAMPS)/test: $(STAMPS)/pip pyproject.toml
	@echo "Installing Rota and what its tests need …"
	@$(PIP) install --quiet -e . --group test
	@touch $@

# Go for the tests with franz-go, where there is none.
$(STAMPS)/go: $(STAMPS)/pip pyproject.toml
	@echo "Installing Go …"
	@$(PIP) install --quiet --group go
	@touch $@

$(STAMPS)/check: $(STAMPS)/test pyproject.toml
	@echo "Installing the checkers …"
	@$(PIP) install --quiet --group check
	@touch $@
