# The two commands of the README are `make run` and `make test`; `make check` is what CI runs.
PYTHON ?= python3
VENV := .venv
# Tests use tiny tensors, so cores are used by processes: a second thread would only wait. Hundreds of processes are
# started, each of which would compile the package anew where an environment forbids to keep what was compiled.
TEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1}
PROCESSES ?= auto
BIN := $(VENV)/bin

.PHONY: run test check slow wheel schema picture docs dist try-wheel clean
.DELETE_ON_ERROR:

$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "Installing jepa-core with torch into $(VENV): a few minutes, once."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

run: $(VENV)/.installed
	$(BIN)/jepa run recipes/quickstart.toml

test: $(VENV)/.installed
	$(TEST) $(BIN)/python -m pytest -n $(PROCESSES) --maxprocesses 8 --dist worksteal

slow: $(VENV)/.installed
	$(TEST) $(BIN)/python -m pytest -m slow -n $(PROCESSES) --maxprocesses 8 --dist worksteal

check: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=.:plugins:monitor $(BIN)/lint-imports
	$(MAKE) docs
	$(MAKE) test

wheel: $(VENV)/.installed
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

schema: $(VENV)/.installed
	$(BIN)/jepa recipe schema > recipes/schema.json

picture: $(VENV)/.installed
	$(BIN)/python docs/make_monitor_picture.py

$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

# The site, into build/site. A broken link, an anchor that is not there or a page outside the navigation is an error.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(VENV)/.release: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[release]'
	@touch $@

# Source distribution, and the wheel built from it.
dist: $(VENV)/.release
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist .
	$(BIN)/python -m twine check --strict dist/*

# The wheel in an environment that has nothing else, away from the working copy.
try-wheel:
	folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && $(PYTHON) -m venv "$$folder/venv" \
	&& "$$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt dist/*.whl \
	&& cd "$$folder" && venv/bin/jepa --version && venv/bin/jepa plugins check identity \
	&& venv/bin/jepa run quickstart --device cpu

clean:
	rm -rf $(VENV) dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis
