# `make` alone prints what can be made. The virtual environment .venv is made when it is needed.

PYTHON ?= python3
BENCH ?=
BENCH_OPTIONS ?=
SOAK ?=
PYTHONS ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
MITM := .venv-mitmproxy
READERS := tests/export/readers/node_modules
DEMO := captures/remote_start_stop.pcap

.DEFAULT_GOAL := help
.PHONY: help demo test lint format docs bench bench-full soak constraints packages audit fuzz clean

help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.runtime ## install ocppscope into .venv and read a capture with it
	$(BIN)/ocppscope log $(DEMO)
	@echo
	@echo "That was a remote start and stop, recorded between a station and a CSMS. Try also:"
	@echo "  $(BIN)/ocppscope log --full $(DEMO)          every message with its JSON"
	@echo "  $(BIN)/ocppscope diagnose captures/broken_silence.pcap        what went wrong, who did it, what to try"
	@echo "  $(BIN)/ocppscope stations captures/*.pcap*   who connected, and how it ended"
	@echo "  $(BIN)/ocppscope --help                      the rest"

test: $(VENV)/.test $(READERS)/.done ## run all tests
	$(BIN)/python -m pytest -n auto --maxschedchunk 16 $(PYTEST_OPTIONS)

lint: $(VENV)/.lint ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.lint ## put the code into the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.docs ## write the pages that are made from tables anew, and build the site in build/site
	$(BIN)/ocppscope fields --markdown > docs/filter.md
	$(BIN)/ocppscope rules --markdown > docs/rules.md
	$(BIN)/ocppscope timing --markdown > docs/timing.md
	$(BIN)/python -c 'from ocppscope.tui.document import markdown; print(markdown(), end="")' > docs/keys.md
	$(BIN)/python -c 'from ocppscope.redaction.document import markdown; print(markdown(), end="")' > docs/redaction.md
	$(BIN)/python docs/configuration.py > docs/config.md
	$(BIN)/python -m ocppscope.cli.manual share
	$(BIN)/mkdocs build --quiet --strict

bench: $(VENV)/.runtime $(MITM)/.done ## compare with tshark and mitmdump, some minutes; choose with BENCH="20k proxy"
	$(BIN)/python -m bench.run $(BENCH_OPTIONS) $(BENCH)

bench-full: $(VENV)/.runtime $(MITM)/.done ## every size and variant up to 1M messages, and the proxy
	$(BIN)/python -m bench.run --full $(BENCH_OPTIONS)

soak: $(VENV)/.runtime ## an hour's messages of 1,000 stations through the proxy; SOAK="--show screens --churn 20"
	$(BIN)/python -m bench.soak $(SOAK)

constraints: | $(VENV)/.pip ## pin anew the versions with which CI runs; then make test
	$(PIP) install --dry-run --ignore-installed --report build-report.json '.[parquet]' \
	  --group test --group lint --group docs >/dev/null
	$(BIN)/python requirements/pins.py <build-report.json >requirements/constraints.txt; rm build-report.json

packages: $(VENV)/.pip ## build wheel and sdist, install and run each in a clean environment; PYTHONS="python3.13 ..."
	$(PIP) install "build>=1.2"
	$(BIN)/python tests/packaging/installed.py $(PYTHONS)

audit: $(VENV)/.pip ## look the pinned versions up among known weaknesses; needs the internet
	$(PIP) install "pip-audit>=2.7"
	$(BIN)/python -m pip_audit --requirement requirements/constraints.txt --no-deps --disable-pip

fuzz: $(VENV)/.fuzz ## hostile bytes into every reader; choose with FUZZ="pcap frames" SECONDS=60
	$(BIN)/python -m fuzz.run --seconds $(or $(SECONDS),60) $(FUZZ)

clean: ## remove the virtual environment, caches and generated captures
	rm -rf $(VENV) $(MITM) $(READERS) .fuzz bench/data dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Stamps: one for each set of packages, renewed when pyproject.toml changes.

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ocppscope needs Python 3.11 or later; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) has no venv module; on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.pip: | $(BIN)/python
	$(PIP) install "pip>=25.1"
	@touch $@

$(VENV)/.runtime: pyproject.toml | $(VENV)/.pip
	$(PIP) install -e .
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/.pip
	$(PIP) install -e . --group test
	@touch $@ $(VENV)/.runtime

$(VENV)/.docs: pyproject.toml | $(VENV)/.pip
	$(PIP) install -e . --group docs
	@touch $@ $(VENV)/.runtime

$(VENV)/.lint: pyproject.toml | $(VENV)/.pip
	$(PIP) install -e . --group lint
	@touch $@ $(VENV)/.runtime

# Programs in Node.js that open what is exported. Without them their tests are skipped; CI has them.

$(READERS)/.done: tests/export/readers/package-lock.json
	@if command -v npm >/dev/null; then cd $(READERS)/.. && npm ci --silent --no-audit --no-fund && touch node_modules/.done; \
	  else echo "npm is not installed: what needs programs in Node.js is not tested" >&2; fi

# Without atheris, which has no wheels for some systems, the fuzzer makes do with a mutator of its own.

$(VENV)/.fuzz: pyproject.toml | $(VENV)/.pip
	$(PIP) install -e .
	$(PIP) install --group fuzz || echo "atheris cannot be installed: inputs are made without coverage" >&2
	@touch $@ $(VENV)/.runtime

# The peer of the proxy's benchmark has an environment of its own: it pins versions of libraries that we use, too.
# Without it the benchmark goes on, and says so.

$(MITM)/.done: | $(BIN)/python
	$(BIN)/python -m venv $(MITM)
	$(MITM)/bin/python -m pip --disable-pip-version-check --quiet install "mitmproxy>=11" && touch $@ || \
	  echo "mitmproxy cannot be installed: the proxy is measured without a peer" >&2
