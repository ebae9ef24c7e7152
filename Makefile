# SPDX-License-Identifier: MIT
#
# `make help` prints what each target does; every one sets up .venv first, if it has to.

PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check
ARGS ?=
# The published sizes take minutes; `make run RUN_ARGS=` runs them.
RUN_ARGS ?= --pages 256

.DELETE_ON_ERROR:
.PHONY: help run test test-slow native test-native lint format docs notebooks bench wheel clean

## help: print this
help:
	@sed -n 's/^## //p' Makefile | awk -F': ' '{ printf "make %-12s  %s\n", $$1, $$2 }'

## run: the main job, small; its tables go to the terminal, its plots to out/ (RUN_ARGS= for the published sizes, minutes)
run: $(VENV)/.runtime
	$(VENV)/bin/python scenarios/batch_pmd_split.py $(RUN_ARGS)

## test: the tests, examples of the documentation and notebooks too (ARGS="tests/cli -k compare" for some)
# A file per worker: the tests of one file share what their fixtures simulated.
test: $(VENV)/.dev
	TLBSIM_PURE=1 $(VENV)/bin/python -m pytest -n 2 --dist loadfile $(ARGS)

## test-slow: those that take minutes: both engines on every one of 1e7 IPIs
test-slow: $(VENV)/.dev
	TLBSIM_PURE=1 $(VENV)/bin/python -m pytest -n 2 -m slow $(ARGS)

## native: compile the kernel side, for runs several times faster (gcc and Python's headers; two minutes)
native: $(VENV)/.runtime
	$(PIP) --editable '.[native]'
	TLBSIM_NATIVE=1 $(VENV)/bin/python setup.py --quiet build_ext --inplace

## test-native: whether what `make native` has compiled gives the same answers as Python
test-native: $(VENV)/.dev
	$(VENV)/bin/tlbsim --version | grep --quiet native
	$(VENV)/bin/python -m pytest -n 2 tests/test_native.py $(ARGS)

## lint: ruff and mypy
lint: $(VENV)/.dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

## format: mend what ruff can mend
format: $(VENV)/.dev
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

## docs: the documentation, as out/docs/index.html; warnings are errors, and nothing is fetched
docs: $(VENV)/.docs
	$(VENV)/bin/python -m sphinx --builder html --fail-on-warning --keep-going --jobs auto --quiet docs out/docs
	@echo out/docs/index.html

## notebooks: execute the notebooks, as pages in out/notebooks
notebooks: $(VENV)/.docs
	$(VENV)/bin/python -m jupyter nbconvert --execute --to html --output-dir out/notebooks notebooks/*.ipynb

## bench: host time per folio and per broadcast (ARGS="--against REV": how many times as fast as a revision; --quick)
bench: $(VENV)/.runtime
	$(VENV)/bin/python -m benchmarks $(ARGS)

## wheel: build it into dist/, install it into an empty environment and run it from an empty folder
wheel: $(VENV)/.dev
	$(AHEAD)
	$(VENV)/bin/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	rm -rf out/wheel && $(PYTHON) -m venv out/wheel/venv && mkdir out/wheel/empty
	out/wheel/venv/bin/python -m pip install --quiet --disable-pip-version-check dist/tlbsim-*.whl
	cd out/wheel/empty && ../venv/bin/tlbsim run --machine laptop-8 --kernel v6.6 --pages 64

## clean: remove .venv, out/ and what the tools left behind
clean:
	rm -rf $(VENV) out build dist docs/reference simulator/twin simulator/engine/compiled/built *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Stamps, written last: an interrupted installation is taken up again, a finished one is not
# repeated until pyproject.toml changes.
# What numba makes is made ahead, so that the first run waits for LLVM alone; without numba, Python runs.
AHEAD := $(VENV)/bin/python -m simulator.engine.compiled.build

$(VENV)/.runtime: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	-$(AHEAD)
	touch $@

$(VENV)/.dev: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[dev]'
	-$(AHEAD)
	touch $(VENV)/.runtime $@

$(VENV)/.docs: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[docs,notebooks]'
	touch $(VENV)/.runtime $@
