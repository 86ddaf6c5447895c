# Everything starts here; `make` alone lists the targets. Needs Python 3.11 or newer with venv and pip.

PYTHON ?= python3
RUN := .venv/bin
TESTS := $(RUN)/python -m pytest -q
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo down test test-long check bench soak gen golden clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: .venv/.synced ## two clusters on this machine that join each other, to look at and play with
	@$(RUN)/liqo demo

down: .venv/.synced ## stop all clusters that demo, tests or you started
	@$(RUN)/liqo lab down

test: check-fast .venv/.lab ## everything but the long tests; what has to pass before a change goes in
	@$(TESTS) -n 3 --dist loadfile -m "not long" tests

test-long: .venv/.synced .venv/.lab ## tests that take minutes: crowds, faults, floods
	@$(TESTS) -m long tests

check: check-fast ## format, lint, layers, types and unit tests, under a minute; run it while you write
	@$(TESTS) tests/unit tests/docs

.PHONY: check-fast
check-fast: .venv/.synced
	@$(RUN)/ruff format --check -q .
	@$(RUN)/ruff check -q --no-cache .
	@$(RUN)/lint-imports --no-logo
	@$(RUN)/mypy src tests tools $(wildcard bench/*.py)

bench: .venv/.synced ## measure the budgets on this machine and print them beside what is promised
	@$(RUN)/python -m bench

soak: .venv/.synced .venv/.lab ## pods come and go for MINUTES=30, with kills and partitions; looks for leaks
	@SOAK_MINUTES=$(or $(MINUTES),30) $(TESTS) -s tests/e2e/test_soak.py

gen: .venv/.synced ## write again what is made from code: chart/crds and docs/reference
	@$(RUN)/python -m tools.gen

golden: .venv/.synced .venv/.lab ## write again what each identity may do, tests/golden/rights; read the difference
	@GOLDEN=write $(TESTS) tests/integration/test_golden_rights.py

clean: ## remove the environment and all caches; clusters are stopped with `make down`
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist
	find src tests tools -name __pycache__ -prune -exec rm -rf {} +

# The environment, made again when what it is made from changed.
.venv/.synced: pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("liqo needs Python 3.11 or newer; " + \
	  sys.executable + " is " + sys.version.split()[0] + "\nhint: make PYTHON=python3.12")'
	@echo "making the Python environment in .venv, once" >&2
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv || \
	  { echo "hint: Debian and Ubuntu keep venv apart: apt-get install python3-venv" >&2; rm -rf .venv; exit 1; }
	@test -x .venv/bin/uv || .venv/bin/python -m pip install -q --disable-pip-version-check uv
	@UV_PROJECT_ENVIRONMENT=.venv .venv/bin/uv sync -q --frozen --extra speed
	@touch $@

# The lab's programs, metrics-server, and for root those of a real node; `liqo lab build` does nothing when they are up to date.
.PHONY: .venv/.lab
.venv/.lab: .venv/.synced
	@$(RUN)/liqo lab build --metrics $(if $(filter 0,$(shell id -u)),--real)
