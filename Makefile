# SPDX-License-Identifier: MIT
#
# make run        set up .venv and run the main job, small; its tables go to the terminal, its plots to out/
# make test       set up .venv and run the tests
# make test-slow  those that take minutes: both engines on every one of 1e7 IPIs
# make lint       ruff and mypy
# make bench      host time per folio and per broadcast
# make clean      remove .venv, out/ and what the tools left behind

PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check
ARGS ?=
# The published sizes take minutes; `make run RUN_ARGS=` runs them.
RUN_ARGS ?= --pages 256

.DELETE_ON_ERROR:
.PHONY: run test test-slow lint format bench clean

run: $(VENV)/.runtime
	$(VENV)/bin/python scenarios/batch_pmd_split.py $(RUN_ARGS)

# A file per worker: the tests of one file share what their fixtures simulated.
test: $(VENV)/.dev
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile $(ARGS)

test-slow: $(VENV)/.dev
	$(VENV)/bin/python -m pytest -n 2 -m slow $(ARGS)

lint: $(VENV)/.dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(VENV)/.dev
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: $(VENV)/.runtime
	$(VENV)/bin/python -m benchmarks $(ARGS)

clean:
	rm -rf $(VENV) out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Stamps, written last: an interrupted installation is taken up again, a finished one is not
# repeated until pyproject.toml changes.
$(VENV)/.runtime: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	touch $@

$(VENV)/.dev: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[dev]'
	touch $(VENV)/.runtime $@
