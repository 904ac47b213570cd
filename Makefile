# Two commands on a fresh machine: make run, make test. Only python3 >= 3.11 with venv is needed.
PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python

.PHONY: run test check faults bench dist clean
.DEFAULT_GOAL := run

define preflight
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "platform-exporter needs Python 3.11 or newer as '$(PYTHON)': install it (Debian: apt-get install python3 python3-venv) or run 'make PYTHON=/path/to/python3'" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "python3 has no venv module: install it (Debian: apt-get install python3-venv)" >&2; exit 1; }
endef

$(VENV)/.run: pyproject.toml
	$(preflight)
	@echo "Setting up $(VENV) (once) …"
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.run
	@echo "Installing what the tests need (once) …"
	@$(PY) -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

$(VENV)/.bench: pyproject.toml $(VENV)/.dev
	@echo "Installing what the benchmarks compare with (once) …"
	@$(PY) -m pip install --quiet --disable-pip-version-check -e '.[speed,bench]'
	@touch $@

run: $(VENV)/.run
	@exec $(PY) -m exporter demo $(ARGS)

test: $(VENV)/.dev
	@rm -rf .coverage && mkdir -p .coverage
	@$(PY) -m coverage run -m pytest $(ARGS)
	@$(PY) -m coverage combine --quiet
	@$(PY) -m coverage report

check: $(VENV)/.dev
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy

faults: $(VENV)/.dev
	@$(PY) $(if $(ARGS),-m pytest -m slow $(ARGS),-m tests.faults)

bench: $(VENV)/.bench
	@$(PY) -m tests.benchmarks $(AREA)

dist: $(VENV)/.run
	@rm -rf dist
	@$(PY) -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	@ls dist

clean:
	@rm -rf $(VENV) .coverage dist
