# Two commands set a fresh machine up: `make run` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Many tests wait for real programs most of the time, so that more than one of them share a core well.
WORKERS ?= $(shell cores=$$(nproc 2>/dev/null || echo 2); echo $$((cores > 5 ? cores : 5)))
MISSING = { echo "flockwatch: Python 3.11 or newer with venv is needed; on Debian 12: apt-get install git make python3-venv" >&2; exit 2; }

.PHONY: run demo test check bench docs clean

run: $(VENV)/.run ## install and start the exporter and the web UI with targets.yml
	exec $(BIN)/flockwatch run --config.file targets.yml

demo: $(VENV)/.run ## the same program against a simulated flock
	exec $(BIN)/python -m simulator.demo

test: $(VENV)/.dev ## install what tests need and run them all
	tests/install-packages
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

check: $(VENV)/.dev ## formatting, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.dev ## scan, poll and exposition figures, as ratios
	$(BIN)/python -m benchmarks

docs: $(VENV)/.dev ## write the generated documents anew
	$(BIN)/python -m exporter.metrics.reference > docs/metrics.md
	$(BIN)/python -m grafana.source

clean: ## remove the virtual environment and what tools left
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info build

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || $(MISSING)
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@ $(VENV)/.run
