# Every target does its own set-up: Python 3.11+, make and a package index are enough.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: setup demo test unit check chaos bench lock clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1" -c constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt --group dev -e ".[images,monitoring]"
	touch $@

demo: setup
	$(BIN)/castline demo

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/pytest -q -n auto tests/unit

test: check
	$(BIN)/pytest -q -n 3 --dist loadscope tests/integration tests/chaos
	$(BIN)/pytest -q -n 2 --dist loadscope tests/browser

# Every fault three times with 500 tweets and more; about 45 minutes. CASTLINE_CHAOS_REPORT=FILE keeps the rows.
chaos: setup
	for round in 1 2 3; do $(BIN)/pytest -q --chaos-long -n 2 --dist loadscope tests/chaos || exit 1; done

bench: setup
	$(BIN)/python benchmarks/batch.py

# Writes the versions of this venv as the constraints that everybody installs.
lock:
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu//' > constraints.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
