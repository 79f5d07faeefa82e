# Thin over Python: each line works without make too (README, "Windows").
PYTHON ?= python3
VENV_PYTHON := .venv/bin/python

.PHONY: help run setup dev test test-gpu bench format clean
.DEFAULT_GOAL := help

help:  ## Show these lines
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST)

run: setup  ## Start the studio (HOST=127.0.0.1 PORT=7860)
	@$(VENV_PYTHON) app.py $(if $(HOST),--host "$(HOST)") $(if $(PORT),--port "$(PORT)")

setup:  ## Install what is missing: packages and starter weights
	@$(PYTHON) tools/setup.py

dev:
	@$(PYTHON) tools/setup.py --dev

test: dev  ## Format, lint, types, unit tests, browser tests
	@$(VENV_PYTHON) -m tools.check

test-gpu: dev  ## Models of real size on this machine's GPU; figures are printed
	@$(VENV_PYTHON) -m tools.check gpu

bench: dev  ## Measure this program and its peers; the table goes to docs/benchmarks.md
	@$(VENV_PYTHON) -m benchmarks --write

format: dev  ## Lay out the code and fix what can be fixed
	@$(VENV_PYTHON) -m ruff format .
	@$(VENV_PYTHON) -m ruff check --fix .

clean:  ## Remove the environment and caches; models and data stay
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
