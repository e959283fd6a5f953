# The two commands of the README are `make run` and `make test`; `make check` is what CI runs.
PYTHON ?= python3
VENV := .venv
# Tests use tiny tensors, so cores are used by processes: a second thread would only wait.
TEST := OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1}
PROCESSES ?= auto
BIN := $(VENV)/bin

.PHONY: run test check slow wheel schema picture clean
.DELETE_ON_ERROR:

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

run: $(VENV)/.installed
	$(BIN)/jepa run recipes/quickstart.toml

test: $(VENV)/.installed
	$(TEST) $(BIN)/python -m pytest -n $(PROCESSES) --maxprocesses 8 --dist worksteal

slow: $(VENV)/.installed
	$(TEST) $(BIN)/python -m pytest -m slow

check: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=.:plugins:monitor $(BIN)/lint-imports
	$(MAKE) test

wheel: $(VENV)/.installed
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

schema: $(VENV)/.installed
	$(BIN)/jepa recipe schema > recipes/schema.json

picture: $(VENV)/.installed
	$(BIN)/python docs/make_monitor_picture.py

clean:
	rm -rf $(VENV) dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis
