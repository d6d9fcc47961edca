# Everything runs in .venv; nothing is installed anywhere else. `make PYTHON=python3.13 test` takes another Python.
# Tests that want real files read ACTIVITY_BENCH_DATA; where it is not set they are deselected, and the summary says so.
PYTHON ?= python3
BIN := .venv/bin
PARALLEL := -n auto --dist worksteal
PIP := $(BIN)/python -m pip install --quiet -c constraints.txt

.PHONY: setup demo test check nightly bench docs clean

setup: .venv/.dev

demo: .venv/.base
	$(BIN)/activity-bench demo --out demo-out --force

test: .venv/.dev
	$(BIN)/pytest -m quick $(PARALLEL)

# What CI runs, cheapest first.
check: .venv/.dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest -m "quick or check" $(PARALLEL)

nightly: .venv/.nightly
	HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -m nightly $(PARALLEL) -p tests.faults.summary --reliability docs/reliability.md

bench: .venv/.dev
	$(BIN)/python benchmarks $(BENCH)

# The pages as a site in build/site, which opens from the disk; `make check` builds it, too, and fails on a broken link.
docs: .venv/.dev
	$(BIN)/mkdocs build

clean:
	rm -rf .venv build dist demo-out .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find activity_bench tests benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

.venv/pyvenv.cfg:
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("activity-bench needs Python 3.11 or newer, this is " + sys.version)'
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

# A stamp a set of packages, so that a second `make test` installs nothing; newer pins or dependencies install again.
.venv/.base: .venv/pyvenv.cfg pyproject.toml constraints.txt
	$(PIP) --editable .
	@touch $@

# Add here every extra that a room uses and that installs everywhere. Torch comes alone, first and pinned, so that
# nothing else chooses its build.
.venv/.dev: .venv/pyvenv.cfg pyproject.toml constraints.txt
	$(PIP) torch
	$(PIP) --editable '.[dev]'
	@touch .venv/.base $@

# Atheris has wheels for some Pythons alone; without it the files are changed with no lead.
.venv/.nightly: .venv/.dev
	$(PIP) pip-audit
	-$(PIP) --only-binary :all: atheris
	@touch $@
