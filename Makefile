# Everything below sets itself up: it needs Python 3.11 or newer and make, and nothing else.

PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	command -v $$name >/dev/null && $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
VENV := .venv
BIN := $(VENV)/bin
UV := uv==0.13.9
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run demo test check bench chaos failover upgrade soak schema ui client pictures lock

help: ## Show this list
	@grep -hE '^[a-z]+:.*?## ' $(MAKEFILE_LIST) | sort | awk -F ':.*?## ' '{printf "  make %-9s %s\n", $$1, $$2}'

run: $(VENV)/.run ## Start the server with its own PostgreSQL and print its URLs (ARGS="--port 4300")
	@$(BIN)/python ui/build.py || echo "The server starts without it."
	@exec $(BIN)/python -m automations serve $(ARGS)

demo: $(VENV)/.run ## Watch it at work on simulated flows, through a kill -9 (ARGS=--quick)
	@$(BIN)/python -m automations demo $(ARGS)

test: $(VENV)/.dev ## Run the tests (ARGS="tests/api -k hook")
	@$(BIN)/python -m pytest -n 2 $(ARGS)

check: $(VENV)/.dev ## Format, lint, types (the page's too), layers, SQL in its place, schema drift, migrations that only add
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m tests.sql_in_place
	$(BIN)/python -m tests.breaking_changes
	$(BIN)/python -m tests.migrations_expand
	@if [ -d ui/node_modules/typescript ] && command -v node >/dev/null; then cd ui && node node_modules/typescript/bin/tsc --noEmit; \
		else echo "The page's types are not checked: make ui first, with Node on PATH"; fi
	$(BIN)/python -m automations schema | diff -u schema.graphql - || { echo "schema.graphql is behind: run make schema"; exit 1; }
	$(BIN)/python -m tests.sync_client | $(BIN)/ruff format --stdin-filename synchronous.py - | diff -u automations/client/synchronous.py - || { echo "the client without asyncio is behind: run make client"; exit 1; }

bench: $(VENV)/.dev ## Measure against floors of the same run and print JSON (QUICK=1 for a few minutes)
	@$(BIN)/python -m bench $(if $(QUICK),--quick) $(ARGS)

chaos: $(VENV)/.dev ## Kill, cut and restart everything under load, and see that nothing is lost (ARGS="--seed 1")
	@$(BIN)/python -m tests.chaos $(ARGS)

failover: $(VENV)/.dev ## Take primaries away from a Patroni cluster under load (needs patroni, etcd and PostgreSQL)
	@$(BIN)/python -m tests.failover $(ARGS)

upgrade: $(VENV)/.dev ## Replace servers of an earlier version under load (FROM=v1.0.0; by default the last release)
	@$(BIN)/python -m tests.upgrade $(if $(FROM),--from $(FROM)) $(ARGS)

soak: $(VENV)/.dev ## An hour of load, in which nothing may grow; draws soak.svg (ARGS="--seconds 180")
	@$(BIN)/python -m tests.soak $(ARGS)

schema: $(VENV)/.run ## Write schema.graphql
	$(BIN)/python -m automations schema > schema.graphql

client: $(VENV)/.dev ## Write the client without asyncio, of the one for asyncio
	$(BIN)/python -m tests.sync_client | $(BIN)/ruff format --stdin-filename synchronous.py - > automations/client/synchronous.py

ui: $(VENV)/.run ## Build the page (make run does it by itself)
	@$(BIN)/python ui/build.py

pictures: $(VENV)/.dev ui ## Take the pictures of docs/page.md anew
	@TESTS_PICTURES=docs/page $(BIN)/python -m pytest -q tests/page/test_pictures.py

lock: $(VENV)/.dev ## Lock the newest allowed dependencies, with hashes
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --upgrade pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --upgrade pyproject.toml --extra otel -c requirements.lock -o requirements-otel.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --upgrade pyproject.toml --extra otel --group dev -c requirements-otel.lock -o requirements-dev.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --upgrade requirements-ui.in -o requirements-ui.lock

$(VENV)/.run: requirements.lock | $(VENV)/.uv
	@echo "Installing the dependencies …"
	@$(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock | $(VENV)/.uv
	@echo "Installing the dependencies and the tools of development …"
	@$(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@touch $@ $(VENV)/.run

$(VENV)/.uv:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and was not found: install it, or say make PYTHON=/path/to/python3"; exit 1; }
	@echo "Making a virtual environment …"
	@$(PYTHON) -m venv $(VENV) || { echo "This Python cannot make virtual environments: on Debian and Ubuntu, install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install -q --disable-pip-version-check $(UV)
	@touch $@
