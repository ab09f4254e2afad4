# `make demo` and `make test` need nothing but git, make and python3-venv; both call `make install`.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
BIN := .venv/bin
# The stamp's name is the hash of what the environment is made from: up to date means it exists.
STAMP := .venv/installed-$(shell cat requirements.lock pyproject.toml | sha256sum | cut -c1-16)

.PHONY: install demo test lint sdk bench packages

install: $(STAMP)

$(STAMP):
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "FunnelWatch needs Python 3.11 or newer; python3 is $$(python3 --version 2>&1)" >&2; exit 1; }
	@python3 -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "python3-venv is missing; as root: apt-get install python3-venv" >&2; exit 1; }
	@echo "Making .venv from requirements.lock (one to three minutes the first time)" >&2
	python3 -m venv .venv
	$(BIN)/pip install --disable-pip-version-check --no-deps -r requirements.lock
	$(BIN)/pip install --disable-pip-version-check --no-deps --quiet -e .
	@rm -f .venv/installed-* && touch $@

demo: install
	exec $(BIN)/funnelwatch demo

packages:
	@.ci/packages chromium redis-server postgresql libcairo2 clickhouse-server nodejs npm

# A file stays in one process: chDB opens one data directory a process. Shared fixtures of a file are built once. In conftest.py's order, the longest first.
test: install packages
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(TESTS)

lint: install
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# The committed bundle must be what the source builds to.
sdk: packages
	npm --prefix sdk/browser ci --no-audit --no-fund
	npm --prefix sdk/browser run build
	git diff --exit-code -- sdk/browser/dist

bench: install
	@for module in $$(ls benchmarks/[!_]*.py | xargs -n1 basename | sed 's/\.py$$//'); do \
		$(BIN)/python -m benchmarks.$$module --quick --json; \
	done
